// What the libraries of a GPU take for an operation beside its operands and results: named rules,
// whose evidence and limits stand in docs/prediction.md.
//
//   cublas_workspace     the first matrix product of a thread makes its handle, which keeps one
//   cublas_lt_workspace  a product with a bias takes one while it runs
//   depthwise_copies     fp32 depthwise convolutions of channels-last images go to cuDNN, whose
//                        tensor-core kernels work on copies with every group's channels padded to
//                        4; contiguous ones go to PyTorch's own kernels, which take nothing
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "profiler/operation.h"
#include "profiler/predict/device_profile.h"

namespace sbp::predict {

enum class ScratchKind : std::uint8_t { cudnn_workspace, cublas_workspace, cublas_lt_workspace };
std::string_view to_string(ScratchKind kind);

struct Scratch {
  ScratchKind kind = ScratchKind::cudnn_workspace;
  std::int64_t bytes = 0;
  bool kept = false;  // by the process, for each thread; else freed when the operation ends
};

// In the order they are allocated; none of no bytes.
std::vector<Scratch> scratch_of(const profiler::Operation& operation, const DeviceProfile& device);

}  // namespace sbp::predict
