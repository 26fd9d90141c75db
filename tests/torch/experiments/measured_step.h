// A profile of a small ViT, for tests of bytes.
#pragma once

#include <string>

#include "reports/report.h"

namespace sbp::tests {

// Layer `name`'s figures; fails the test when there is no such layer.
const profiler::LayerMemory& layer(const profiler::MemoryProfile& memory, const std::string& name);

struct MeasuredOptions {
  std::string strategy = "full";
  std::string device = "cpu";
  std::string attention = "eager";
  std::int64_t batch = 2;
  std::string precision = "fp32";
};

// Width 48, 3 heads, 5 blocks, 8x8 patches: tokens N = 65. sbp drops in the last 3 blocks.
reports::ProfileReport measure(const MeasuredOptions& options);

inline constexpr std::int64_t kTokens = 65, kWidth = 48, kHeads = 3, kDepth = 5;

}  // namespace sbp::tests
