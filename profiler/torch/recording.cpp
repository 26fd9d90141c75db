#include "profiler/torch/recording.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "profiler/torch/origin.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

// Constant-initialised and never destroyed in effect: blocks are freed until the process ends.
constinit std::mutex lock;
constinit LiveBlocks cpu_blocks{DeviceId::Kind::cpu};
constinit LiveBlocks meta_blocks{DeviceId::Kind::meta};
constinit LiveBlocks cuda_blocks{DeviceId::Kind::cuda};
constinit TraceListener* listener = nullptr;

// Allocators and autograd call hooks without a context of ours. Written under the lock.
constinit std::atomic<Recording*> active{nullptr};
constinit std::atomic<std::uint64_t> next_save{0};

// The lock is held.
void append(Recording& recording, Record& record) noexcept {
  const auto since = std::chrono::steady_clock::now() - recording.start;
  record.time_ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
  recording.buffer.append(record);
}

Record block_record(RecordKind kind, const LiveBlock& block) noexcept {
  Record record = is_recording() ? attributed_record(kind) : Record{.kind = kind};
  record.address = block.address;
  record.bytes = block.bytes;
  return record;
}

}  // namespace

LiveBlocks& live_blocks(DeviceId::Kind device) noexcept {
  switch (device) {
    case DeviceId::Kind::cpu: break;
    case DeviceId::Kind::meta: return meta_blocks;
    case DeviceId::Kind::cuda: return cuda_blocks;
  }
  return cpu_blocks;
}

void set_trace_listener(TraceListener* next) noexcept {
  listener = next;
}

TraceListener* trace_listener() noexcept {
  return listener;
}

bool LiveBlocks::add(LiveBlock& block) noexcept {
  Record record = block_record(RecordKind::allocate, block);
  const std::lock_guard guard(lock);
  const std::int64_t before = live_bytes_.load(std::memory_order_relaxed);
  if (block.bytes > std::numeric_limits<std::int64_t>::max() - before) return false;
  block.previous = newest_;
  block.next = nullptr;
  (newest_ != nullptr ? newest_->next : oldest_) = &block;
  newest_ = &block;
  live_bytes_.store(before + block.bytes, std::memory_order_relaxed);
  if (before + block.bytes > peak_bytes()) {
    peak_bytes_.store(before + block.bytes, std::memory_order_relaxed);
  }
  Recording* recording = active.load(std::memory_order_relaxed);
  if (recording != nullptr && recording->device == device_) append(*recording, record);
  return true;
}

void LiveBlocks::remove(LiveBlock& block) noexcept {
  Record record = block_record(RecordKind::free, block);
  const std::lock_guard guard(lock);
  Recording* recording = active.load(std::memory_order_relaxed);
  if (recording != nullptr && recording->device == device_) append(*recording, record);
  (block.previous != nullptr ? block.previous->next : oldest_) = block.next;
  (block.next != nullptr ? block.next->previous : newest_) = block.previous;
  live_bytes_.store(live_bytes() - block.bytes, std::memory_order_relaxed);
}

void LiveBlocks::reset_peak() noexcept {
  const std::lock_guard guard(lock);
  peak_bytes_.store(live_bytes(), std::memory_order_relaxed);
}

void start_recording(Recording& recording) {
  const std::lock_guard guard(lock);
  if (active.load(std::memory_order_relaxed) != nullptr) {
    throw Error("starting a memory trace: another one is active; stop it first");
  }
  recording.start = std::chrono::steady_clock::now();
  recording.first_save = next_save.load();
  const LiveBlocks& blocks = live_blocks(recording.device);
  for (const LiveBlock* block = blocks.oldest_; block != nullptr; block = block->next) {
    recording.buffer.append({.address = block->address, .bytes = block->bytes});
  }
  active.store(&recording, std::memory_order_release);
}

std::int64_t stop_recording() noexcept {
  const std::lock_guard guard(lock);
  const Recording* recording = active.exchange(nullptr);
  return recording == nullptr ? 0 : live_blocks(recording->device).live_bytes();
}

bool is_recording() noexcept {
  return active.load(std::memory_order_relaxed) != nullptr;
}

void log(Record record) noexcept {
  const std::lock_guard guard(lock);
  if (Recording* recording = active.load(std::memory_order_relaxed)) append(*recording, record);
}

bool log_for(DeviceId::Kind device, Record record) noexcept {
  const std::lock_guard guard(lock);
  Recording* recording = active.load(std::memory_order_relaxed);
  if (recording == nullptr || recording->device != device) return false;
  append(*recording, record);
  return true;
}

void log_phase(Record record) noexcept {
  const std::lock_guard guard(lock);
  Recording* recording = active.load(std::memory_order_relaxed);
  if (recording == nullptr) return;
  record.bytes = live_blocks(recording->device).live_bytes();
  append(*recording, record);
}

void log_operation(const Operation& operation) {
  if (!is_recording()) return;
  Record record = attributed_record(RecordKind::operation);
  const std::lock_guard guard(lock);
  Recording* recording = active.load(std::memory_order_relaxed);
  if (recording == nullptr || recording->device != DeviceId::Kind::meta) return;
  record.address = recording->operations.size();
  recording->operations.push_back(operation);
  append(*recording, record);
}

std::uint64_t new_save_number() noexcept {
  return next_save.fetch_add(1);
}

void log_release(Record record) noexcept {
  const std::lock_guard guard(lock);
  Recording* recording = active.load(std::memory_order_relaxed);
  if (recording != nullptr && record.node >= recording->first_save) append(*recording, record);
}

}  // namespace sbp::profiler
