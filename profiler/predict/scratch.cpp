#include "profiler/predict/scratch.h"

#include <array>

namespace sbp::predict {
namespace {

using profiler::Operation;
using profiler::OperationKind;

constexpr std::int64_t kChannelUnit = 4;  // that tensor-core kernels of fp32 pad a group's to

std::int64_t product(const std::array<std::int64_t, 5>& sizes) {
  std::int64_t all = 1;
  for (const std::int64_t size : sizes) all *= size;
  return all;
}

std::int64_t pixels(const std::array<std::int64_t, 5>& sizes) {
  return sizes[2] * sizes[3] * sizes[4];
}

bool is_depthwise(const Operation& operation) {
  return operation.groups > 1 && operation.groups == operation.input[1];
}

// Which of its three passes work on copies depends on the image's size and the card, as the list of
// cuDNN 9.8's heuristics has it.
std::int64_t depthwise_bytes(const Operation& operation, const DeviceProfile& device) {
  constexpr std::int64_t kLargeImage = 400;  // pixels of the result
  const bool large = pixels(operation.output) >= kLargeImage;
  const bool ada = device.compute_capability == 89;
  const std::int64_t input = kChannelUnit * product(operation.input) * operation.element_bytes;
  const std::int64_t output = kChannelUnit * product(operation.output) * operation.element_bytes;
  const std::int64_t kernel = product(operation.kernel) * operation.element_bytes;
  if (operation.kind == OperationKind::convolution && (large || !ada)) {
    return input + output + kChannelUnit * kChannelUnit * kernel;
  }
  if (operation.kind == OperationKind::convolution_weight_gradient && !large && ada) {
    return input + output + kChannelUnit * kernel;
  }
  return 0;
}

}  // namespace

std::string_view to_string(ScratchKind kind) {
  switch (kind) {
    case ScratchKind::cudnn_workspace: return "cudnn_workspace";
    case ScratchKind::cublas_workspace: return "cublas_workspace";
    case ScratchKind::cublas_lt_workspace: return "cublas_lt_workspace";
  }
  return "unknown";
}

std::vector<Scratch> scratch_of(const Operation& operation, const DeviceProfile& device) {
  std::vector<Scratch> scratch;
  const auto add = [&](ScratchKind kind, std::int64_t bytes, bool kept) {
    if (bytes > 0) scratch.push_back({kind, bytes, kept});
  };
  switch (operation.kind) {
    case OperationKind::matrix_product:
      add(ScratchKind::cublas_workspace, device.cublas_workspace_bytes, /*kept=*/true);
      if (operation.has_bias) {
        add(ScratchKind::cublas_lt_workspace, device.cublas_lt_workspace_bytes, /*kept=*/false);
      }
      break;
    case OperationKind::convolution:
    case OperationKind::convolution_input_gradient:
    case OperationKind::convolution_weight_gradient:
      if (device.depthwise_copies && operation.channels_last && operation.element_bytes == 4 &&
          is_depthwise(operation)) {
        add(ScratchKind::cudnn_workspace, depthwise_bytes(operation, device), /*kept=*/false);
      }
      break;
    case OperationKind::batch_norm:
    case OperationKind::batch_norm_backward:
    case OperationKind::softmax: break;
  }
  return scratch;
}

}  // namespace sbp::predict
