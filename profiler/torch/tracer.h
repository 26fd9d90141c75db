// Sources of records in LibTorch: the CPU and Meta allocators, and what autograd saves.
#pragma once

#include <cstdint>
#include <memory>

#include "profiler/record.h"
#include "profiler/trace.h"
#include "sbp/base/device_id.h"
#include "sbp/base/scope.h"

namespace at {
class Tensor;
}

namespace sbp::profiler {

// Installs the counting allocators (CPU, Meta), the Meta kernels that LibTorch lacks, and the
// autograd engine that lets saved tensors be seen. Once a process, before the first tensor;
// later calls do nothing. Runs a self-test and throws Error if a hook does not see what it must.
void install_torch_hooks();

// Bytes in live blocks by the allocator's count, traced or not; of CUDA: see cuda_tracer.h.
std::int64_t live_bytes(const DeviceId& device) noexcept;
// The highest live_bytes since the last call of reset_peak_live_bytes.
std::int64_t peak_live_bytes(const DeviceId& device) noexcept;
void reset_peak_live_bytes(const DeviceId& device) noexcept;

struct TracerOptions {
  DeviceId device;                        // whose blocks are in the books
  std::int64_t buffer_records = 1 << 22;  // 40 bytes each
};

// Records one run. At most one is active in a process. While it is active every allocation of
// the device, every save of autograd and every layer scope is logged. Not thread-safe itself;
// the hooks it feeds from are.
class Tracer {
 public:
  // Starts with the blocks that are already live, so that the books hold them from the start.
  // `layers` must outlive the tracer and may still grow.
  Tracer(const TracerOptions& options, const LayerTable& layers);
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // Announces a phase; also checks the books against the allocator's counter (see Record::bytes).
  void enter(Phase phase);
  // Says what the live block behind `tensor`'s storage is for, and for which layer. An undefined
  // tensor or one on another device is ignored.
  void tag(const at::Tensor& tensor, Category category, LayerId layer = kNoLayer);

  // Records so far that had no place.
  std::int64_t dropped_records() const noexcept;

  // Stops recording and returns what was recorded; the tracer is then spent.
  Trace stop();

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace sbp::profiler
