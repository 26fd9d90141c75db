#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
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
using OptionalTensor = std::optional<Tensor>;

bool given(const OptionalTensor& tensor) {
  return tensor.has_value() && tensor->defined();
}

// The CPU keeps statistics in the parameters' type: fp32 weights beside 16-bit input give fp32.
at::ScalarType statistics_type(const Tensor& input, const OptionalTensor& parameter) {
  return given(parameter) ? parameter->scalar_type() : input.scalar_type();
}

std::tuple<Tensor, Tensor, Tensor> layer_norm(const Tensor& input, at::IntArrayRef normalised_shape,
                                              const OptionalTensor& weight,
                                              const OptionalTensor& bias, double) {
  const auto outer = static_cast<std::size_t>(input.dim()) - normalised_shape.size();
  TORCH_CHECK(normalised_shape.size() <= static_cast<std::size_t>(input.dim()) &&
                  input.sizes().slice(outer) == normalised_shape,
              "native_layer_norm: the last axes of an input of ", input.sizes(),
              " must be the normalised shape ", normalised_shape);
  std::vector<std::int64_t> statistics_sizes(static_cast<std::size_t>(input.dim()), 1);
  for (std::size_t i = 0; i < outer; ++i) statistics_sizes[i] = input.sizes()[i];
  const auto type = statistics_type(input, given(weight) ? weight : bias);
  const auto statistics = input.options().dtype(type);
  return {at::empty(input.sizes(), input.options()), at::empty(statistics_sizes, statistics),
          at::empty(statistics_sizes, statistics)};
}

Tensor like_parameter(const OptionalTensor& parameter, const Tensor& input, at::IntArrayRef sizes) {
  return at::empty(sizes, given(parameter) ? parameter->options() : input.options());
}

std::tuple<Tensor, Tensor, Tensor> layer_norm_backward(const Tensor&, const Tensor& input,
                                                       at::IntArrayRef normalised_shape,
                                                       const Tensor&, const Tensor&,
                                                       const OptionalTensor& weight,
                                                       const OptionalTensor& bias,
                                                       std::array<bool, 3> wanted) {
  return {wanted[0] ? at::empty(input.sizes(), input.options()) : Tensor(),
          wanted[1] ? like_parameter(weight, input, normalised_shape) : Tensor(),
          wanted[2] ? like_parameter(bias, input, normalised_shape) : Tensor()};
}

void log_batch_norm(OperationKind kind, const Tensor& input) {
  Operation operation{
      .kind = kind,
      .element_bytes = static_cast<std::uint8_t>(input.element_size()),
      .channels_last = input.suggest_memory_format() != at::MemoryFormat::Contiguous,
      .input = {input.size(0), input.size(1), 1, 1, 1}};
  const auto axes = static_cast<std::size_t>(std::min<std::int64_t>(input.dim(), 5));
  for (std::size_t axis = 2; axis < axes; ++axis) {
    operation.input[5 - axes + axis] = input.sizes()[axis];
  }
  operation.output = operation.input;
  log_operation(operation);
}

std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& input, const OptionalTensor& weight,
                                              const OptionalTensor& bias, const OptionalTensor&,
                                              const OptionalTensor&, bool training, double,
                                              double) {
  const std::int64_t channels = training ? input.size(1) : 0;
  const auto statistics =
      input.options().dtype(statistics_type(input, given(weight) ? weight : bias));
  std::tuple<Tensor, Tensor, Tensor> results{
      at::empty_like(input, {}, input.suggest_memory_format()), at::empty({channels}, statistics),
      at::empty({channels}, statistics)};
  if (training) log_batch_norm(OperationKind::batch_norm, input);
  return results;
}

std::tuple<Tensor, Tensor, Tensor> batch_norm_backward(const Tensor&, const Tensor& input,
                                                       const OptionalTensor& weight,
                                                       const OptionalTensor&, const OptionalTensor&,
                                                       const OptionalTensor&, const OptionalTensor&,
                                                       bool, double, std::array<bool, 3> wanted) {
  const std::int64_t channels = input.size(1);
  std::tuple<Tensor, Tensor, Tensor> results{
      wanted[0] ? at::empty_like(input, {}, input.suggest_memory_format()) : Tensor(),
      wanted[1] ? like_parameter(weight, input, {channels}) : Tensor(),
      wanted[2] ? like_parameter(weight, input, {channels}) : Tensor()};
  log_batch_norm(OperationKind::batch_norm_backward, input);
  return results;
}

}  // namespace

void add_meta_normalisation(torch::Library& library) {
  library.impl("native_layer_norm", &layer_norm);
  library.impl("native_layer_norm_backward", &layer_norm_backward);
  library.impl("native_batch_norm", &batch_norm);
  library.impl("native_batch_norm_backward", &batch_norm_backward);
}

}  // namespace sbp::profiler
