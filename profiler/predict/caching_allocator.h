// PyTorch's CUDA caching allocator, without CUDA: what it would take from the device for a
// sequence of requests, to the byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/predict/allocator_options.h"
#include "profiler/predict/allocator_statistics.h"
#include "profiler/predict/segment_event.h"

namespace sbp::predict {

// An allocation that a caller holds.
struct Handle {
  std::uint32_t block = 0;
  std::uint32_t generation = 0;

  bool operator==(const Handle&) const = default;
};

// Where an allocation lies.
struct Place {
  std::uint64_t address = 0;
  std::uint64_t segment_address = 0;  // where its segment, or its expandable range, begins
  std::int64_t requested_bytes = 0;
  std::int64_t block_bytes = 0;  // rounded up, with the slack that was not split off
  int stream = 0;
  PoolKind pool = PoolKind::small;
};

// Memory taken from the device, as torch.cuda.memory_snapshot() lists it: of an expandable segment
// each stretch that is mapped.
struct Segment {
  // `waiting`: given back, until the other streams that used it are done.
  enum class State : std::uint8_t { allocated, waiting, free };
  struct Part {
    std::uint64_t address = 0;
    std::int64_t bytes = 0;
    std::int64_t requested_bytes = 0;  // 0 where it is free
    State state = State::free;
    Handle handle = {};  // of an allocated one
  };

  std::uint64_t address = 0;
  std::int64_t bytes = 0;
  int stream = 0;
  PoolKind pool = PoolKind::small;
  bool is_expandable = false;
  std::vector<Part> parts = {};  // by address, without gaps
};

// One device, streams by any number. Not for several threads at once. The device itself has no end:
// only `limit_bytes` makes a request fail. See README.md for what is not simulated.
//
// Every function that takes a Handle throws Error where it is of no allocation held now.
class CachingAllocator {
 public:
  // Throws UsageError where PyTorch would not take the options.
  explicit CachingAllocator(const AllocatorOptions& options);
  ~CachingAllocator();
  CachingAllocator(CachingAllocator&&) noexcept;
  CachingAllocator& operator=(CachingAllocator&&) noexcept;

  // nullopt: out of memory; the allocator goes on, as it would after the exception. Throws Error
  // for less than 1 byte (PyTorch never asks for none) and for more than 1 EiB.
  std::optional<Handle> allocate(std::int64_t bytes, int stream = 0);
  void free(Handle handle);

  // The block is used on `stream` as well: once given back, it waits for that stream.
  void record_stream(Handle handle, int stream);
  // All that was given back so far is no longer used: the next request finds it free.
  void finish_events();

  // Returns to the device what can be; blocks that wait are waited for.
  void empty_cache();
  void reset_peaks();

  const AllocatorOptions& options() const;
  const AllocatorStatistics& statistics() const;
  Place place(Handle handle) const;
  // By address.
  std::vector<Segment> segments() const;

  // Told of every segment event from now on; an empty function: nobody.
  void observe_segments(SegmentObserver observer);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace sbp::predict
