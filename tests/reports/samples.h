// Small invented reports with every field filled in.
#pragma once

#include "reports/report.h"

namespace sbp::tests {

reports::ProfileReport sample_profile();
// The same, with blocks that replay to its peak.
reports::ProfileReport sample_profile_with_blocks();
// Of a CUDA device, with the blocks of its allocator too.
reports::ProfileReport sample_device_profile();
reports::TrainReport sample_training();
reports::SweepReport sample_sweep();

}  // namespace sbp::tests
