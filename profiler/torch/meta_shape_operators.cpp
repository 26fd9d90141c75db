#include <ATen/TensorIterator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/result_type.h>
#include <torch/library.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "profiler/torch/meta_kernels.h"

namespace sbp::profiler {
namespace {

using at::Tensor;

Tensor index_select(const Tensor& self, std::int64_t axis, const Tensor& index) {
  TORCH_CHECK(index.dim() <= 1, "index_select: the index must be a vector, not ", index.sizes());
  std::vector<std::int64_t> sizes = self.sizes().vec();
  if (!sizes.empty()) {
    sizes[static_cast<std::size_t>(c10::maybe_wrap_dim(axis, self.dim()))] = index.numel();
  }
  return at::empty(sizes, self.options());
}

Tensor adaptive_average_pool(const Tensor& self, at::IntArrayRef output_size) {
  std::vector<std::int64_t> sizes = self.sizes().vec();
  sizes[sizes.size() - 2] = output_size[0];
  sizes[sizes.size() - 1] = output_size[1];
  return at::empty(sizes, self.options().memory_format(self.suggest_memory_format()));
}

Tensor adaptive_average_pool_backward(const Tensor&, const Tensor& self) {
  return at::empty(self.sizes(), self.options().memory_format(self.suggest_memory_format()));
}

// Strides of a broadcast follow rules of their own, so the iterator that the CPU uses finds them.
Tensor where(const Tensor& condition, const Tensor& self, const Tensor& other) {
  const auto type = at::result_type(self, other);
  return at::TensorIteratorConfig()
      .check_all_same_dtype(false)
      .declare_static_dtype(type)
      .add_owned_output(Tensor())
      .add_owned_const_input(condition)
      .add_owned_const_input(self)
      .add_owned_const_input(other)
      .build()
      .output();
}

// The CPU glues slices together, which keeps a channels-last order and no other.
Tensor roll(const Tensor& self, at::IntArrayRef, at::IntArrayRef) {
  return at::empty(self.sizes(), self.options().memory_format(self.suggest_memory_format()));
}

Tensor flip(const Tensor& self, at::IntArrayRef) {
  return at::empty_like(self);
}

std::tuple<Tensor, Tensor> dropout(const Tensor& input, double, std::optional<bool>) {
  return {at::empty_like(input), at::empty_like(input, input.options().dtype(at::kBool))};
}

Tensor dropout_backward(const Tensor& grad_output, const Tensor&, double) {
  return at::empty_like(grad_output);
}

// LibTorch's own on Meta grows an empty tensor, which changes its size and allocates nothing. The
// few numbers are made on the CPU for their count and type.
using OptionalType = std::optional<at::ScalarType>;

Tensor arange_start_step(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step,
                         OptionalType type, std::optional<at::Layout>, std::optional<at::Device>,
                         std::optional<bool>) {
  return at::empty_like(at::arange(start, end, step, at::TensorOptions(at::kCPU).dtype(type)),
                        at::TensorOptions(at::kMeta));
}

Tensor arange_start(const at::Scalar& start, const at::Scalar& end, OptionalType type,
                    std::optional<at::Layout> layout, std::optional<at::Device> device,
                    std::optional<bool> pinned) {
  return arange_start_step(start, end, 1, type, layout, device, pinned);
}

Tensor arange(const at::Scalar& end, OptionalType type, std::optional<at::Layout> layout,
              std::optional<at::Device> device, std::optional<bool> pinned) {
  return arange_start_step(0, end, 1, type, layout, device, pinned);
}

}  // namespace

void add_meta_shape_operators(torch::Library& library) {
  library.impl("index_select", &index_select);
  library.impl("_adaptive_avg_pool2d", &adaptive_average_pool);
  library.impl("_adaptive_avg_pool2d_backward", &adaptive_average_pool_backward);
  library.impl("arange", &arange);
  library.impl("arange.start", &arange_start);
  library.impl("arange.start_step", &arange_start_step);
  library.impl("where.self", &where);
  library.impl("roll", &roll);
  library.impl("flip", &flip);
  library.impl("native_dropout", &dropout);
  library.impl("native_dropout_backward", &dropout_backward);
}

}  // namespace sbp::profiler
