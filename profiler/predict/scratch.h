// What the libraries of a GPU take for an operation beside its operands and results.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "profiler/operation.h"
#include "profiler/predict/device_profile.h"

namespace sbp::predict {

// In the order that reports name them.
enum class ScratchKind : std::uint8_t { cudnn_workspace, cublas_workspace, cublas_lt_workspace };
inline constexpr int kScratchKindCount = 3;
std::string_view to_string(ScratchKind kind);

struct Scratch {
  ScratchKind kind = ScratchKind::cudnn_workspace;
  std::int64_t bytes = 0;
  bool kept = false;  // by the process, for each thread; else freed when the operation ends
};

// In the order they are allocated.
std::vector<Scratch> scratch_of(const profiler::Operation& operation, const DeviceProfile& device);

}  // namespace sbp::predict
