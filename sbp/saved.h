// The saved-tensor side of the seam: what our own backward nodes keep, and how it may be coded.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sbp/base/scope.h"
#include "sbp/plan.h"

namespace torch::autograd {
class SavedVariable;
}

namespace sbp {

// A tensor in the form that autograd keeps it. Codes are `value`; what is paid on top of them is
// labelled `index` or `scale`, so that reports can say what a code really costs.
struct PackedPart {
  at::Tensor tensor;
  SaveLabel label = SaveLabel::value;
};
using Packed = std::vector<PackedPart>;

// Stores something else in place of a tensor. Stateless after construction; encode and decode run
// without recording, on the tensor's own device (Meta included: no values may be read there).
class SavedCodec {
 public:
  virtual ~SavedCodec() = default;
  virtual Packed encode(const at::Tensor& value) const = 0;
  // An approximation of the encoded tensor: same shape and device. Whoever decodes casts it to the
  // encoded tensor's type.
  virtual at::Tensor decode(const std::vector<at::Tensor>& parts) const = 0;
};

// Codecs by resolved spec ("quant:bits=4"): the plan names them, an execution looks them up.
using CodecTable = std::map<std::string, std::shared_ptr<const SavedCodec>>;

// Hands `tensor` to autograd's keeping under a label. The tensor is saved without its history
// (our nodes have no second derivative) but with its version, so in-place changes are noticed.
torch::autograd::SavedVariable save_for_backward(const at::Tensor& tensor, SaveLabel label);

}  // namespace sbp
