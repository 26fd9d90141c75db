// Whose each block of a device is: the allocator knows where it lies, the books of the traced step
// what it is for.
#pragma once

#include "profiler/allocator_log.h"
#include "profiler/memory_profile.h"

namespace sbp::profiler {

// Fills in category, layer and `saved` of each block of `log` that `lives` has as well: the n-th at
// an address is the n-th there, if all at that address are of the same bytes. Others stay as they
// are.
void add_owners(const BlockLives& lives, AllocatorLog& log);

}  // namespace sbp::profiler
