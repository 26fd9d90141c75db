// Layers that keep a code instead of a tensor. Forward values are exact.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "sbp/saved.h"

namespace sbp {

// x [..., in], weight [out, in], bias [out] or undefined. Only the weight gradient uses the
// decoded input; input and bias gradients are exact.
at::Tensor coded_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        std::shared_ptr<const SavedCodec> codec);

// GELU (erf form) whose derivative is what is coded.
at::Tensor coded_gelu(const at::Tensor& x, std::shared_ptr<const SavedCodec> codec);

}  // namespace sbp
