// What the caching allocator says of itself: the figures of torch.cuda.memory_stats, in bytes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "profiler/allocator_log.h"

namespace sbp::predict {

using profiler::PoolKind;

// A running figure and the highest it was since the peaks were last reset.
struct Figure {
  std::int64_t current = 0;
  std::int64_t peak = 0;

  void add(std::int64_t change) {
    current += change;
    peak = std::max(peak, current);
  }
  bool operator==(const Figure&) const = default;
};

struct PoolStatistics {
  Figure requested;       // what callers asked for, until the block is free again
  Figure allocated;       // blocks that callers hold: rounded up, with slack that was not split off
  Figure active;          // allocated, and given back but still in use by another stream
  Figure reserved;        // held from the device
  Figure inactive_split;  // free, in a segment that is partly in use; not of expandable segments

  void reset_peaks();
  bool operator==(const PoolStatistics&) const = default;
};

struct AllocatorStatistics {
  PoolStatistics total;
  PoolStatistics small_pool;
  PoolStatistics large_pool;
  Figure segments;                 // that cudaMalloc gave; with expandable segments none
  std::int64_t retries = 0;        // requests for which the whole cache was released
  std::int64_t out_of_memory = 0;  // requests that failed
  std::int64_t device_allocs = 0;  // calls of cudaMalloc, or that mapped
  std::int64_t device_frees = 0;   // calls of cudaFree, or that unmapped

  PoolStatistics& of(PoolKind pool) { return pool == PoolKind::small ? small_pool : large_pool; }
  const PoolStatistics& of(PoolKind pool) const {
    return pool == PoolKind::small ? small_pool : large_pool;
  }
  void add(Figure PoolStatistics::*figure, PoolKind pool, std::int64_t change) {
    (total.*figure).add(change);
    (of(pool).*figure).add(change);
  }
  // Every peak becomes the current value.
  void reset_peaks();

  bool operator==(const AllocatorStatistics&) const = default;
};

}  // namespace sbp::predict
