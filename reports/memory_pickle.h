// The memory of a profile as a snapshot that PyTorch's memory viewer opens
// (pytorch.org/memory_viz; torch/cuda/_memory_viz.py).
#pragma once

#include <string>

#include "reports/report.h"

namespace sbp::reports {

// What memory_snapshot.h says; events replay to the report's peaks to the byte.
//
// Of a CUDA device whose allocator's blocks the report holds: as they lay. Of every other profile:
// in places made up (first_fit.h), because nobody noted any. Throws Error where the blocks do not
// add up to what the report says, or lie in no segment. REQUIRES blocks in the profile
// (memory_events.h).
std::string memory_pickle(const ProfileReport& report);

// As the simulated allocator placed everything. Times are numbers of events: nothing ran. Throws
// Error as above. REQUIRES blocks.
std::string memory_pickle(const PredictionReport& report);

}  // namespace sbp::reports
