// A workload carried out by the simulated allocator of a device.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "profiler/predict/allocator_options.h"
#include "profiler/predict/device_profile.h"
#include "profiler/predict/prediction.h"
#include "profiler/predict/workload.h"

namespace sbp::predict {

struct ReplayResult {
  bool completed = true;  // false: memory ran out at `failed_at`
  std::int64_t peak_requested_bytes = 0;
  std::int64_t peak_allocated_bytes = 0;
  std::int64_t peak_reserved_bytes = 0;
  Moment allocated_peak;
  Moment reserved_peak;
  std::int64_t allocated_peak_request = 0;  // which allocation, from 1, first brought that peak
  std::int64_t requests = 0;
  std::int64_t segments = 0;
  std::int64_t device_allocations = 0;
  std::int64_t retries = 0;
  Moment failed_at;
  std::int64_t failed_bytes = 0;
};

// `options.limit_bytes` is what the allocator may reserve; absent: no limit. `log`: is given all
// that happens; may be nullptr.
ReplayResult replay(const Workload& workload, const DeviceProfile& device,
                    const AllocatorOptions& options, profiler::AllocatorLog* log = nullptr);

// Who owns what right after allocation `request` of that replay succeeded.
struct Composition {
  std::vector<LayerBytes> layers;   // in the layers' order, those outside every layer last
  std::vector<NamedBytes> kept;     // what the process keeps of libraries' workspaces
  std::int64_t rounding_bytes = 0;  // of blocks over what was asked for
};
Composition composition_at(std::int64_t request, const Workload& workload,
                           const DeviceProfile& device, const AllocatorOptions& options);

}  // namespace sbp::predict
