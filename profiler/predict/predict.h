// From a workload to what it would take of a GPU's memory.
#pragma once

#include "profiler/predict/allocator_options.h"
#include "profiler/predict/device_profile.h"
#include "profiler/predict/largest_batch.h"
#include "profiler/predict/prediction.h"
#include "profiler/predict/workload.h"

namespace sbp::predict {

// Peaks are those on the card itself, as large as it is, where the workload completes there, and of
// one without end where it does not; whether it fits is answered by a replay that may take no more
// than `device.memory_bytes`. `allocator.limit_bytes` must be absent. `with_blocks`: every block
// and segment of that run is kept.
Prediction predict(const Workload& workload, const DeviceProfile& device,
                   const AllocatorOptions& allocator, bool with_blocks = false);

// Does it fit, and no more: on the card, and so that the upper end of its interval does too.
struct BatchTrials {
  BatchTrial plain;
  BatchTrial cautious;
};
BatchTrials try_batch(const Workload& workload, const DeviceProfile& device,
                      const AllocatorOptions& allocator);

}  // namespace sbp::predict
