// A snapshot that PyTorch's memory viewer opens (pytorch.org/memory_viz;
// torch/cuda/_memory_viz.py), of whatever allocator. Private to reports/*.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "profiler/allocator_log.h"

namespace sbp::reports {

struct MemorySnapshot {
  const profiler::AllocatorLog& log;
  // A block's events tell the bytes that were asked for, as in PyTorch's traces; with this also
  // those of the block, as `block_size`.
  bool has_block_sizes = true;
  std::int64_t end_us = 0;  // when the run ended; of runs that were none: the number of events
  std::vector<std::pair<std::string, std::variant<std::string, std::int64_t>>> settings = {};
};

// A pickled dict of `segments` at the end, `device_traces` (one device) and `allocator_settings`.
// Frames, innermost first, say the block's purpose and layer, and where in the run it was born.
// Throws Error where the blocks at the end do not lie in the segments, one beside the other.
std::string pickled(const MemorySnapshot& snapshot);

}  // namespace sbp::reports
