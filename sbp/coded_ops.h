// Layers that keep a code instead of a tensor. Forward values are exact.
#pragma once

#include <ATen/core/Tensor.h>

#include "sbp/saved.h"

namespace sbp {

// [out, in] of a linear with input x [..., in] and output gradient [..., out].
at::Tensor linear_weight_gradient(const at::Tensor& x, const at::Tensor& gradient);

// x [..., in], weight [out, in], bias [out] or undefined. Only the weight gradient uses the
// decoded input; input and bias gradients are exact. A weight stored [in, out], as that of GPT-2's
// Conv1D, is given transposed, as a view.
at::Tensor coded_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const Coding& coding);

// GELU (erf form) whose derivative is what is coded.
at::Tensor coded_gelu(const at::Tensor& x, const Coding& coding);

}  // namespace sbp
