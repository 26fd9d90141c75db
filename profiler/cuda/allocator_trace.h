// What PyTorch's CUDA caching allocator did during a trace, and what it held when the trace began.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sbp/base/scope.h"

namespace sbp::profiler {

enum class AllocatorAction : std::uint8_t {
  allocate,        // a block for a tensor; bytes: as asked for
  free_requested,  // the tensor is gone
  free_completed,  // ... and no stream uses the block any more; often at once
  segment_alloc,   // memory from the driver
  segment_free,    // ... and back
  segment_map,     // the same in parts, of expandable segments
  segment_unmap,
  out_of_memory,  // bytes: asked for and not given
};

struct AllocatorEvent {
  AllocatorAction action = AllocatorAction::allocate;
  std::uint64_t address = 0;
  std::int64_t bytes = 0;
  std::uint64_t stream = 0;
  std::uint64_t time_ns = 0;  // steady clock
  LayerId layer = kNoLayer;   // open on the thread that did it

  bool operator==(const AllocatorEvent&) const = default;
};

struct AllocatorBlock {
  enum class State : std::uint8_t { free, allocated, awaiting };  // awaiting: its free to complete
  std::int64_t bytes = 0;
  std::int64_t requested_bytes = 0;
  State state = State::free;
};

// One piece of memory from the driver. Its blocks tile it, in order of addresses.
struct AllocatorSegment {
  std::uint64_t address = 0;
  std::int64_t bytes = 0;
  bool is_small = false;  // of the pool for requests of up to 1 MiB
  bool is_expandable = false;
  std::vector<AllocatorBlock> blocks;
};

// What the allocator itself counts.
struct AllocatorCounters {
  std::int64_t requested_bytes = 0;  // in blocks that a tensor has or a stream still uses
  std::int64_t allocated_bytes = 0;  // blocks of tensors
  std::int64_t active_bytes = 0;     // the same and blocks that a stream still uses
  std::int64_t reserved_bytes = 0;   // segments
  std::int64_t retries = 0;          // caches emptied because the driver had no more
  std::int64_t out_of_memory = 0;

  bool operator==(const AllocatorCounters&) const = default;
};

// From the event of that index on, until the next mark.
struct AllocatorPhase {
  std::int64_t event = 0;
  Phase phase = Phase::setup;
};

struct AllocatorTrace {
  int device = 0;              // as CUDA counts them
  std::uint64_t start_ns = 0;  // steady clock, when `segments` were read
  // Of segments alone, from the moment that CUPTI ran to the start, in order: CUPTI saw segments as
  // well that are gone by then.
  std::vector<AllocatorEvent> earlier_segments;
  std::vector<AllocatorSegment> segments;  // at the start
  std::vector<AllocatorEvent> events;      // in order
  std::vector<AllocatorPhase> phases;      // in order; what comes before the first is setup
  std::int64_t dropped_events = 0;
  AllocatorCounters counters_at_end;
  std::string phase_problem;  // where a phase began and the counters did not agree; a sentence
  std::int64_t max_split_bytes = -1;  // larger blocks are not split; -1: no such limit
  bool rounds_by_powers = false;      // roundup_power2_divisions is set
  // Of the whole device, by everybody, when the trace stopped; empty if it could not be read.
  std::optional<std::int64_t> device_used_bytes;
};

}  // namespace sbp::profiler
