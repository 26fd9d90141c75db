// Addresses for blocks that have none: as if one segment held them all.
#pragma once

#include "profiler/allocator_log.h"
#include "profiler/memory_profile.h"

namespace sbp::reports {

// Every block at the lowest free place when it was born, in one segment that is as large as that
// needs and there from the start; its gaps are none of the run's. Blocks of no bytes are left out.
profiler::AllocatorLog first_fit(const profiler::BlockLives& blocks);

}  // namespace sbp::reports
