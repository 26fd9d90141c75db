// Traces of the caching allocator made by hand; times go up by 10 ns an event.
#pragma once

#include <cstdint>

#include "profiler/cuda/allocator_trace.h"
#include "profiler/cuda/cupti_source.h"

namespace sbp::tests {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

class AllocatorTraceBuilder {
 public:
  AllocatorTraceBuilder() { trace_.start_ns = kStart; }

  static constexpr std::uint64_t kStart = 1000;

  AllocatorTraceBuilder& segment(std::uint64_t address, std::int64_t bytes) {
    return add(profiler::AllocatorAction::segment_alloc, address, bytes);
  }
  AllocatorTraceBuilder& segment_free(std::uint64_t address, std::int64_t bytes) {
    return add(profiler::AllocatorAction::segment_free, address, bytes);
  }
  AllocatorTraceBuilder& map(std::uint64_t address, std::int64_t bytes) {
    return add(profiler::AllocatorAction::segment_map, address, bytes);
  }
  AllocatorTraceBuilder& unmap(std::uint64_t address, std::int64_t bytes) {
    return add(profiler::AllocatorAction::segment_unmap, address, bytes);
  }
  AllocatorTraceBuilder& allocate(std::uint64_t address, std::int64_t bytes) {
    return add(profiler::AllocatorAction::allocate, address, bytes);
  }
  AllocatorTraceBuilder& free_requested(std::uint64_t address, std::int64_t bytes = 0) {
    return add(profiler::AllocatorAction::free_requested, address, bytes);
  }
  AllocatorTraceBuilder& free_completed(std::uint64_t address, std::int64_t bytes = 0) {
    return add(profiler::AllocatorAction::free_completed, address, bytes);
  }
  AllocatorTraceBuilder& free(std::uint64_t address) {
    return free_requested(address).free_completed(address);
  }
  AllocatorTraceBuilder& add(profiler::AllocatorAction action, std::uint64_t address,
                             std::int64_t bytes) {
    trace_.events.push_back(
        {.action = action, .address = address, .bytes = bytes, .time_ns = next_time()});
    return *this;
  }

  // Of the next event.
  std::uint64_t next_time() const { return kStart + 10 * (trace_.events.size() + 1); }
  profiler::AllocatorTrace& trace() { return trace_; }

 private:
  profiler::AllocatorTrace trace_;
};

}  // namespace sbp::tests
