// What a simulated allocator did over a run: every block and every segment, for exports.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "profiler/predict/segment_event.h"
#include "profiler/record.h"
#include "sbp/base/scope.h"
#include "sbp/base/words.h"

namespace sbp::predict {

// PyTorch's words for what happens to segments.
inline constexpr std::array<std::string_view, 4> kSegmentEventWords = {
    "segment_alloc", "segment_free", "segment_map", "segment_unmap"};
constexpr std::string_view to_string(SegmentEvent::Kind kind) {
  return sbp::word_of(kSegmentEventWords, kind);
}

inline constexpr std::array<std::string_view, 2> kPoolWords = {"small", "large"};
constexpr std::string_view to_string(PoolKind pool) {
  return sbp::word_of(kPoolWords, pool);
}

struct AllocatorLog {
  // Births, deaths and changes of segments are events of one order, counted from 0.
  struct Block {
    std::int64_t born_event = 0;
    std::int64_t died_event = -1;  // -1: it outlived the run
    std::int64_t address = 0;
    std::int64_t requested_bytes = 0;
    std::int64_t block_bytes = 0;
    profiler::Category category = profiler::Category::unknown;
    std::int64_t step = 0;  // of its birth; 0: before the first
    Phase phase = Phase::setup;
    std::string layer;  // that it is charged to; empty: none

    bool operator==(const Block&) const = default;
  };
  struct Segment {
    std::int64_t event = 0;
    SegmentEvent::Kind kind = SegmentEvent::Kind::allocated;
    PoolKind pool = PoolKind::small;
    std::int64_t address = 0;
    std::int64_t bytes = 0;

    bool operator==(const Segment&) const = default;
  };

  std::vector<Block> blocks;      // by birth
  std::vector<Segment> segments;  // in order

  bool operator==(const AllocatorLog&) const = default;
};

}  // namespace sbp::predict
