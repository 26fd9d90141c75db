// What a set of activity records means: which scope a memory operation ran in, which release ended
// which allocation, and how many bytes of each kind were live.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "profiler/cuda/activity_records.h"

namespace sbp::profiler {

// Larger sizes, in a record that claims one, are taken for damage and kept out of every sum.
inline constexpr std::uint64_t kMostActivityBytes = std::uint64_t{1} << 56;

// Indices below are into the records given, as they were given.
struct MemoryRecordMeaning {
  std::int64_t index = 0;
  // Of the call that made it, one of each external kind (the last pushed), by kind.
  std::vector<ExternalActivity> external;
  std::optional<std::int64_t> api_index;

  bool operator==(const MemoryRecordMeaning&) const = default;
};

struct AllocationPair {
  std::int64_t allocation_index = 0;
  std::int64_t release_index = 0;
  std::int64_t bytes = 0;
  std::uint64_t lifetime_ns = 0;

  bool operator==(const AllocationPair&) const = default;
};

using MemoryKindBytes = std::array<std::int64_t, kMemoryKindCount>;  // index = MemoryKind

struct ActivityBooks {
  std::vector<MemoryRecordMeaning> memory_records;  // in the records' order
  std::vector<AllocationPair> pairs;                // by release
  std::vector<std::int64_t> never_released;         // allocations, in the records' order
  std::vector<std::int64_t>
      releases_without_allocation;  // older than the trace, or its record lost
  // Allocations that ended unseen: another one came at their address. Their bytes count as live
  // until then.
  std::vector<std::int64_t> releases_missed;
  std::vector<std::int64_t> failed_api_calls;
  std::vector<std::int64_t> damaged;  // memory records that are neither, or of absurd size
  MemoryKindBytes live_at_end_bytes{};
  MemoryKindBytes peak_live_bytes{};
};

// The order of the records does not matter: memory operations are put in the order of their times
// (an allocation's is the end of its call, where that is known; as given where they are equal), and
// calls are joined by correlation id, where 0 joins nothing.
ActivityBooks activity_books(std::span<const Activity> records);

}  // namespace sbp::profiler
