// What an allocator of segments and blocks did over a run, a simulated one or a GPU's: every block
// and every segment, for exports.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/record.h"
#include "sbp/base/scope.h"
#include "sbp/base/words.h"

namespace sbp::profiler {

// A segment taken from the driver or given back; part of an expandable one mapped or unmapped.
enum class SegmentChange : std::uint8_t { allocated, freed, mapped, unmapped };

// PyTorch's words for them.
inline constexpr std::array<std::string_view, 4> kSegmentChangeWords = {
    "segment_alloc", "segment_free", "segment_map", "segment_unmap"};
constexpr std::string_view to_string(SegmentChange change) {
  return sbp::word_of(kSegmentChangeWords, change);
}
constexpr bool is_gain(SegmentChange change) {
  return change == SegmentChange::allocated || change == SegmentChange::mapped;
}

// The allocator keeps requests of up to 1 MiB apart.
enum class PoolKind : std::uint8_t { small, large };

inline constexpr std::array<std::string_view, 2> kPoolWords = {"small", "large"};
constexpr std::string_view to_string(PoolKind pool) {
  return sbp::word_of(kPoolWords, pool);
}

struct AllocatorLog {
  // Births, deaths and changes of segments are events of one order, counted from 0.
  struct Block {
    std::int64_t born_event = 0;
    // Its tensor is gone, and a stream may still use it. -1: at its death, or never.
    std::int64_t free_requested_event = -1;
    std::int64_t died_event = -1;  // -1: it outlived the run
    std::int64_t address = 0;
    std::int64_t requested_bytes = 0;
    std::int64_t block_bytes = 0;
    Category category = Category::unknown;
    std::int64_t step = 0;  // of its birth; 0: before the first
    Phase phase = Phase::setup;
    std::string layer;   // that it is charged to; empty: none
    bool saved = false;  // autograd held it for backward at some time; false where nobody says

    bool operator==(const Block&) const = default;
  };
  struct Segment {
    std::int64_t event = 0;
    SegmentChange kind = SegmentChange::allocated;
    PoolKind pool = PoolKind::small;
    std::int64_t address = 0;
    std::int64_t bytes = 0;

    bool operator==(const Segment&) const = default;
  };

  std::vector<Block> blocks;      // by birth
  std::vector<Segment> segments;  // in order
  // When each event was, since the run began; empty where nothing ran.
  std::vector<std::uint64_t> event_ns;
  // The first so many events say what was there already when the run began.
  std::int64_t older_events = 0;

  bool operator==(const AllocatorLog&) const = default;
};

struct AllocatorLogEvent {
  enum class What : std::uint8_t { birth, free_request, death, segment };
  std::int64_t number = 0;
  What what = What::birth;
  std::size_t index = 0;  // of the block, or of the change of a segment
};

// In order.
std::vector<AllocatorLogEvent> events_of(const AllocatorLog& log);

struct AllocatorLogBytes {
  std::int64_t requested = 0;  // of blocks whose tensors live
  std::int64_t allocated = 0;  // of the same, the blocks
  std::int64_t awaiting = 0;   // blocks that only a stream uses
  std::int64_t reserved = 0;   // segments

  bool operator==(const AllocatorLogBytes&) const = default;
};

struct AllocatorLogSums {
  AllocatorLogBytes peak;               // each at its own time
  AllocatorLogBytes at_requested_peak;  // all when `requested` first was at its highest
  AllocatorLogBytes end;
};

// What the events, `log`'s in order, add up to. What lived before the run counts from its
// beginning.
AllocatorLogSums summed(const AllocatorLog& log, const std::vector<AllocatorLogEvent>& events);

}  // namespace sbp::profiler
