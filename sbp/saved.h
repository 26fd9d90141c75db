// The saved-tensor side of the seam: what our own backward nodes keep, and how it may be coded.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sbp/base/scope.h"
#include "sbp/plan.h"
#include "sbp/random.h"

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

// What a code stands for.
struct CodedTensor {
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;  // of a tensor without gaps, though maybe permuted
  at::ScalarType type = at::kFloat;
  at::Device device = at::kCPU;
  StreamKey key;  // that it was coded with
};

// Stores something else in place of a tensor. Stateless after construction; encode and decode run
// without recording, on the tensor's own device (Meta included: no values may be read there).
class SavedCodec {
 public:
  virtual ~SavedCodec() = default;
  // Whether a code depends on its key.
  virtual bool draws() const { return false; }
  // What is random in a code is drawn from `key` alone. Throws Error where the tensor cannot be
  // coded, saying why; whoever asks names the layer.
  virtual Packed encode(const at::Tensor& value, const StreamKey& key) const = 0;
  // An approximation of the encoded tensor: same shape and device. Whoever decodes casts it to the
  // encoded tensor's type. `parts` are those that encode gave.
  virtual at::Tensor decode(const std::vector<at::Tensor>& parts,
                            const CodedTensor& coded) const = 0;
};

// Codecs by resolved spec ("quant:bits=4"): the plan names them, an execution looks them up.
using CodecTable = std::map<std::string, std::shared_ptr<const SavedCodec>>;

// Hands `tensor` to autograd's keeping under a label. The tensor is saved without its history
// (our nodes have no second derivative) but with its version, so in-place changes are noticed.
torch::autograd::SavedVariable save_for_backward(const at::Tensor& tensor, SaveLabel label);

class SharedCodes;

// How a layer's tensor is coded in this step.
struct Coding {
  std::shared_ptr<const SavedCodec> codec;  // null: it is kept as it is
  StreamKey key = {};
  SharedCodes* shared = nullptr;  // null: shared with nobody

  explicit operator bool() const { return codec != nullptr; }
};

// A coded tensor in autograd's keeping.
class SavedCode {
 public:
  void keep(const at::Tensor& value, const Coding& coding);
  // As the codec gives it, in the type of the encoded tensor.
  at::Tensor decode() const;
  const CodedTensor& coded() const;
  void release() { code_.reset(); }

 private:
  friend class SharedCodes;
  struct Code;
  std::shared_ptr<Code> code_;
};

// The codes of one step, so that layers that take one tensor as their input keep one code of it:
// one for each storage, version and view, and codec. Holds none of them alive.
class SharedCodes {
 public:
  SharedCodes();
  ~SharedCodes();
  SharedCodes(const SharedCodes&) = delete;
  SharedCodes& operator=(const SharedCodes&) = delete;

  // Of a step; what kept nothing is remembered.
  void clear();
  // Keys' sites of codes that held no value of a tensor that has some.
  const std::set<std::uint32_t>& empty_sites() const { return empty_sites_; }

 private:
  friend class SavedCode;
  struct Entry;
  std::shared_ptr<SavedCode::Code> find(const at::Tensor& value, const SavedCodec& codec);
  void add(const at::Tensor& value, const std::shared_ptr<SavedCode::Code>& code);

  std::vector<Entry> entries_;
  std::set<std::uint32_t> empty_sites_;
};

}  // namespace sbp
