// Non-linear operations element by element; ReLU exact or with a coded result.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sbp/saved.h"

namespace sbp {

// Relu and sigmoid save their result, which the layer that follows may save as its input: one
// storage. The others save x; in place a copy of it, so that being in place spares nothing.
enum class Activation : std::uint8_t { relu, relu6, hardswish, hardsigmoid, sigmoid };

// In place: the result takes the storage of x, which nobody else may need.
at::Tensor activate(Activation kind, const at::Tensor& x, bool in_place);

// ReLU whose result is not kept. What is coded is the result, and the codec must give back exactly
// where that is above zero: a bit an element. The gradient is exact.
at::Tensor coded_relu(const at::Tensor& x, const Coding& coding);

}  // namespace sbp
