// Second pass over a trace: live bytes at every event, the peaks, and whether the books balance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "profiler/ledger.h"
#include "profiler/lifetimes.h"
#include "profiler/memory_profile.h"
#include "profiler/ownership.h"
#include "profiler/problems.h"

namespace sbp::profiler {

// A moment of high live bytes: right after the allocate record `record_index`.
struct Moment {
  std::int64_t bytes = 0;
  std::int64_t record_index = -1;  // -1: none
  Phase phase = Phase::setup;
  LayerId layer = kNoLayer;  // being computed then
};

struct Replay {
  Moment peak;       // the first of the highest
  Moment runner_up;  // the first of the highest in another (phase, layer)
  std::vector<PhaseMemory> phases;
  std::vector<TimelinePoint> timeline;
  std::int64_t recounts = 0;
};

// `records` are those that `lifetimes` was read from. Checks the running totals against the
// allocator's counter in each phase record and `live_at_end_bytes`, and against recounts.
Replay replay(std::span<const Record> records, const Lifetimes& lifetimes,
              std::span<const Owner> owners, std::size_t layer_count,
              std::int64_t live_at_end_bytes, const LedgerOptions& options, Problems& problems);

}  // namespace sbp::profiler
