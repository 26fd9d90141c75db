#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "profiler/operation.h"
#include "profiler/torch/meta_kernels.h"
#include "profiler/torch/recording.h"

namespace sbp::profiler {
namespace {

using at::Tensor;

// Legend: N batch, C channels in, O channels out, G groups, then the spatial axes.
struct Geometry {
  at::IntArrayRef stride;
  at::IntArrayRef padding;
  at::IntArrayRef dilation;
  bool transposed;
  at::IntArrayRef output_padding;
  std::int64_t groups;
};

std::vector<std::int64_t> output_sizes(at::IntArrayRef input, at::IntArrayRef weight,
                                       const Geometry& geometry) {
  std::vector<std::int64_t> sizes = {input[0],
                                     geometry.transposed ? weight[1] * geometry.groups : weight[0]};
  for (std::size_t axis = 2; axis < input.size(); ++axis) {
    const std::size_t i = axis - 2;
    const std::int64_t reach = geometry.dilation[i] * (weight[axis] - 1);  // of the kernel, less 1
    if (geometry.transposed) {
      sizes.push_back((input[axis] - 1) * geometry.stride[i] - 2 * geometry.padding[i] + reach +
                      geometry.output_padding[i] + 1);
    } else {
      sizes.push_back((input[axis] + 2 * geometry.padding[i] - reach - 1) / geometry.stride[i] + 1);
    }
    TORCH_CHECK(sizes.back() > 0, "convolution: an input of ", input, " with a kernel of ", weight,
                " leaves an output of ", sizes.back(), " along axis ", axis);
  }
  return sizes;
}

// The CPU computes in channels-last order as soon as one of the two operands is in it.
at::MemoryFormat result_format(const Tensor& input, const Tensor& weight) {
  const auto format = input.suggest_memory_format();
  return format == at::MemoryFormat::Contiguous ? weight.suggest_memory_format() : format;
}

// [a, b, ...] -> [a, b, depth, height, width]; what the tensor lacks is 1.
std::array<std::int64_t, 5> five(at::IntArrayRef sizes) {
  std::array<std::int64_t, 5> five{1, 1, 1, 1, 1};
  five[0] = sizes[0];
  five[1] = sizes[1];
  for (std::size_t i = 2; i < std::min<std::size_t>(sizes.size(), 5); ++i) {
    five[5 - sizes.size() + i] = sizes[i];  // the last axes are the last
  }
  return five;
}

std::array<std::int64_t, 3> three(at::IntArrayRef values) {
  std::array<std::int64_t, 3> three{1, 1, 1};
  for (std::size_t i = 0; i < std::min<std::size_t>(values.size(), 3); ++i) {
    three[3 - values.size() + i] = values[i];
  }
  return three;
}

// `output`: sizes of the forward's result.
Operation operation_on(const Tensor& input, const Tensor& weight, at::IntArrayRef output,
                       const Geometry& geometry) {
  return {.element_bytes = static_cast<std::uint8_t>(input.element_size()),
          .channels_last = result_format(input, weight) != at::MemoryFormat::Contiguous,
          .input = five(input.sizes()),
          .output = five(output),
          .kernel = five(weight.sizes()),
          .stride = three(geometry.stride),
          .dilation = three(geometry.dilation),
          .groups = geometry.groups};
}

Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>&,
                   at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                   bool transposed, at::IntArrayRef output_padding, std::int64_t groups) {
  const Geometry geometry{stride, padding, dilation, transposed, output_padding, groups};
  Tensor result = at::empty(output_sizes(input.sizes(), weight.sizes(), geometry),
                            input.options().memory_format(result_format(input, weight)));
  log_operation(operation_on(input, weight, result.sizes(), geometry));
  return result;
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& grad_output, const Tensor& input, const Tensor& weight, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> wanted) {
  const auto format = result_format(input, weight);
  Operation operation =
      operation_on(input, weight, grad_output.sizes(),
                   {stride, padding, dilation, transposed, output_padding, groups});
  Tensor grad_input;
  Tensor grad_weight;
  Tensor grad_bias;
  if (wanted[0]) {
    grad_input = at::empty(input.sizes(), grad_output.options().memory_format(format));
    operation.kind = OperationKind::convolution_input_gradient;
    log_operation(operation);
  }
  if (wanted[1]) {
    grad_weight = at::empty(weight.sizes(), weight.options().memory_format(format));
    operation.kind = OperationKind::convolution_weight_gradient;
    log_operation(operation);
  }
  if (wanted[2]) {
    const std::int64_t channels = transposed ? weight.size(1) * groups : weight.size(0);
    grad_bias = at::empty({channels}, grad_output.options());
  }
  return {grad_input, grad_weight, grad_bias};
}

}  // namespace

void add_meta_convolution(torch::Library& library) {
  library.impl("convolution_overrideable", &convolution);
  library.impl("convolution_backward_overrideable", &convolution_backward);
}

}  // namespace sbp::profiler
