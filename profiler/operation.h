// Kernels whose memory depends on the device that runs them: what ran, and on which sizes.
#pragma once

#include <array>
#include <cstdint>

namespace sbp::profiler {

enum class OperationKind : std::uint8_t {
  convolution,
  convolution_input_gradient,
  convolution_weight_gradient,
  batch_norm,  // in training
  batch_norm_backward,
  matrix_product,
  softmax,  // whose backward is recorded
};
inline constexpr int kOperationKindCount = 7;

// Logged by dry runs, after the operation's result was allocated.
struct Operation {
  OperationKind kind = OperationKind::convolution;
  std::uint8_t element_bytes = 4;
  bool channels_last = false;
  bool has_bias = false;  // of matrix products
  // Of convolutions and batch norms, [batch, channels, depth, height, width]; an image's depth is
  // 1. Of matrix products input is {batch, rows, inner, 1, 1} and output {batch, rows, columns, 1,
  // 1}.
  std::array<std::int64_t, 5> input{};
  std::array<std::int64_t, 5> output{};
  // Of convolutions: [out, in / groups, depth, height, width].
  std::array<std::int64_t, 5> kernel{};
  std::array<std::int64_t, 3> stride{1, 1, 1};
  std::array<std::int64_t, 3> dilation{1, 1, 1};
  std::int64_t groups = 1;
  // Of a softmax, whose sizes are not told: addresses of the blocks that it reads and writes.
  std::uint64_t read_address = 0;
  std::uint64_t written_address = 0;

  bool operator==(const Operation&) const = default;
};

}  // namespace sbp::profiler
