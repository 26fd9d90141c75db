// Births and deaths of blocks in the order in which they happened.
#pragma once

#include <cstdint>
#include <vector>

#include "reports/documents.h"

namespace sbp::reports {

struct MemoryEvent {
  std::int64_t record = 0;
  std::uint64_t time_ns = 0;
  std::size_t block = 0;  // index into BlockLives::lives
  bool birth = false;
};

// At one record deaths come before births.
std::vector<MemoryEvent> memory_events(const profiler::BlockLives& blocks);

// The profile that an export is of, whose blocks replay to its peak to the byte. Throws Error: not
// of sbp-profile, without blocks, or with blocks that do not add up.
const ProfileReport& profile_with_blocks(const NamedReport& report);

// The same of a prediction; nullptr where the report is of another kind.
const PredictionReport* prediction_with_blocks(const NamedReport& report);

}  // namespace sbp::reports
