// Non-linear operations element by element, exact or with a coded result.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sbp/saved.h"

namespace sbp {

// Relu and sigmoid save their result. Relu6 saves its result in place, and x otherwise. The others
// save x, in place too: then as a copy, so that being in place spares nothing.
enum class Activation : std::uint8_t { relu, relu6, hardswish, hardsigmoid, sigmoid };

// In place: the result takes the storage of x, which nobody else may need.
at::Tensor activate(Activation kind, const at::Tensor& x, bool in_place);

// The derivative is 0 or 1: that of relu and relu6.
bool has_binary_derivative(Activation kind);

// The same value, not in place, of a kind whose derivative is binary. What is coded is above zero
// where the derivative is 1, and the codec must give back exactly where that is: a bit an element.
// The gradient is exact. Throws Error for another kind.
at::Tensor coded_activation(Activation kind, const at::Tensor& x, const Coding& coding);

}  // namespace sbp
