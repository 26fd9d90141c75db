// Replays a trace into books that balance: who owned each byte, when, and what for.
#pragma once

#include <cstdint>

#include "profiler/memory_profile.h"
#include "profiler/trace.h"

namespace sbp::profiler {

struct LedgerOptions {
  std::int64_t timeline_points = 2000;      // at most; maxima survive down-sampling
  std::int64_t recount_interval = 1 << 16;  // events between full recounts of the live set
  bool keep_blocks = false;                 // every block's life goes into the profile
};

// Never throws on a strange trace: whatever does not add up is counted in `ledger`, named in
// `ledger.first_problem`, and makes `balanced` false.
MemoryProfile analyse(const Trace& trace, const LedgerOptions& options = {});

}  // namespace sbp::profiler
