#include <ATen/TensorIterator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_min.h>
#include <torch/library.h>

#include "profiler/torch/meta_kernels.h"

namespace sbp::profiler {
namespace {

using at::Scalar;
using at::Tensor;

Tensor relu(const Tensor& self) {
  return at::clamp_min(self, 0);
}

Tensor hardtanh(const Tensor& self, const Scalar& least, const Scalar& most) {
  return at::clamp(self, least, most);
}

// Element by element, the storage that is there takes the result.
Tensor& relu_(Tensor& self) {
  return self;
}
Tensor& hardtanh_(Tensor& self, const Scalar&, const Scalar&) {
  return self;
}
Tensor& hardswish_(Tensor& self) {
  return self;
}

// The iterators that the CPU uses find the order of axes.
Tensor hardswish(const Tensor& self) {
  Tensor result;
  return at::TensorIterator::unary_op(result, self).output();
}

Tensor hardswish_backward(const Tensor& gradient, const Tensor& self) {
  Tensor result;
  return at::TensorIterator::binary_op(result, gradient, self).output();
}

Tensor hardtanh_backward(const Tensor& gradient, const Tensor& self, const Scalar&, const Scalar&) {
  return hardswish_backward(gradient, self);
}

}  // namespace

void add_meta_activations(torch::Library& library) {
  library.impl("relu", &relu);
  library.impl("relu_", &relu_);
  library.impl("hardtanh", &hardtanh);
  library.impl("hardtanh_", &hardtanh_);
  library.impl("hardtanh_backward", &hardtanh_backward);
  library.impl("hardswish", &hardswish);
  library.impl("hardswish_", &hardswish_);
  library.impl("hardswish_backward", &hardswish_backward);
}

}  // namespace sbp::profiler
