// The memory of a profile as a snapshot that PyTorch's memory viewer opens
// (pytorch.org/memory_viz; torch/cuda/_memory_viz.py).
#pragma once

#include <string>

#include "reports/report.h"

namespace sbp::reports {

// A pickled dict of `segments`, `device_traces` (one device; alloc, free_requested, free_completed)
// and `allocator_settings`. A report holds no addresses: blocks are placed first-fit in one segment
// as large as that needs, so gaps in it are none of the run's. Frames, innermost first, say the
// block's purpose and layer, and the phase of its birth. Blocks of no bytes are left out. Events
// replay to the peak to the byte. REQUIRES blocks in the profile (memory_events.h).
std::string memory_pickle(const ProfileReport& report);

// The same of a prediction, as its simulated allocator placed everything: segments too come and go
// (segment_alloc, segment_free, segment_map, segment_unmap), and `segments` holds what is left at
// the end. As in PyTorch's traces a block's event tells the bytes that were asked for; those of the
// block stand beside as `block_size`. Times are numbers of events: nothing ran. Throws Error where
// the report's blocks do not replay to its peaks to the byte, or lie in no segment. REQUIRES
// blocks.
std::string memory_pickle(const PredictionReport& report);

}  // namespace sbp::reports
