// Where the hooks meet the active trace: one lock, one list of live blocks a device, one log.
//
// Note [One lock]: every hook links a block, moves a counter and logs a record under the same
// lock. So the order of the records is the order of the counters, a trace starts with exactly
// the blocks that live at that moment, and none is logged twice or after the trace stopped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "profiler/operation.h"
#include "profiler/record.h"
#include "profiler/record_buffer.h"
#include "sbp/base/device_id.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {

// What one trace writes to. Its owner keeps it alive until stop_recording() returned.
struct Recording {
  Recording(DeviceId::Kind traced_device, std::int64_t buffer_records)
      : device(traced_device), buffer(buffer_records) {}

  const DeviceId::Kind device;
  RecordBuffer buffer;
  std::vector<Operation> operations;  // of a Meta trace
  std::chrono::steady_clock::time_point start;
  std::uint64_t first_save = 0;  // saves with a lower number belong to an earlier trace
};

// One live block. The CPU allocator keeps it in front of the bytes it describes.
struct LiveBlock {
  LiveBlock* previous;
  LiveBlock* next;
  std::int64_t bytes;
  std::uint64_t address;
};

// The live blocks of one device, oldest first, and what they sum to. Lives as long as the process.
class LiveBlocks {
 public:
  constexpr explicit LiveBlocks(DeviceId::Kind device) noexcept : device_(device) {}

  // `block` has bytes and address set and stays in place until it is removed. False, and nothing
  // done, if the sum could no longer be counted.
  bool add(LiveBlock& block) noexcept;
  void remove(LiveBlock& block) noexcept;

  std::int64_t live_bytes() const noexcept { return live_bytes_.load(std::memory_order_relaxed); }
  std::int64_t peak_bytes() const noexcept { return peak_bytes_.load(std::memory_order_relaxed); }
  void reset_peak() noexcept;

 private:
  friend void start_recording(Recording& recording);

  const DeviceId::Kind device_;
  LiveBlock* oldest_ = nullptr;
  LiveBlock* newest_ = nullptr;
  std::atomic<std::int64_t> live_bytes_{0};  // written under the lock
  std::atomic<std::int64_t> peak_bytes_{0};
};

// The blocks of `device`. Those of cuda are of the one device that install_cuda_hooks named.
LiveBlocks& live_blocks(DeviceId::Kind device) noexcept;

// Told of what a tracer does, and of layer scopes while it does, by the thread that does it; for
// sources that record beside the log. No lock is held.
class TraceListener : public ScopeObserver {
 public:
  virtual void trace_started(const Recording& recording) = 0;
  virtual void phase_entered(Phase phase) = 0;
  virtual void trace_stopping() noexcept = 0;
};

// Sets the process's listener, which lives on; nullptr for none. Not while a trace is active.
void set_trace_listener(TraceListener* listener) noexcept;
TraceListener* trace_listener() noexcept;

// Logs the blocks that live already and makes `recording` the active one. Throws Error if there
// is one.
void start_recording(Recording& recording);
// After it returns no hook touches the recording any more. Returns the live bytes of its device
// at that moment.
std::int64_t stop_recording() noexcept;

// Is there an active trace? Cheap; only a hint, because the calls below ask again under the lock.
bool is_recording() noexcept;

// Stamps the time on `record` and appends it, if a trace is active.
void log(Record record) noexcept;
// The same, if the active trace is of `device`; says whether it was.
bool log_for(DeviceId::Kind device, Record record) noexcept;
// The same for a phase mark, with the live bytes of that moment.
void log_phase(Record record) noexcept;

// An operation on Meta, if a trace of that device is active.
void log_operation(const Operation& operation);

// A number for a new save, unique in the process.
std::uint64_t new_save_number() noexcept;
// Logs the release of a save, unless it was made under an earlier trace.
void log_release(Record record) noexcept;

}  // namespace sbp::profiler
