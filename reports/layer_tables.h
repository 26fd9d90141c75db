// The layers of a profile as tables.
#pragma once

#include <cstdint>
#include <string>

#include "profiler/memory_profile.h"

namespace sbp::reports {

// One row a block and a layer outside every block, in forward order, and their sum. Bytes at the
// peak include what lies below a block, so this column sums to the peak; distinct bytes may sum
// to more than the total, which counts a storage that two blocks save once.
std::string blocks_text(const profiler::MemoryProfile& memory);

// The `top` layers that own most at the peak themselves (children apart), or all in forward order
// when `top` is 0.
std::string layers_text(const profiler::MemoryProfile& memory, std::int64_t top);

}  // namespace sbp::reports
