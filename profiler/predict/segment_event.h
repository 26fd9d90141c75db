// What the allocator does with the device, for whoever wants to log it.
#pragma once

#include <cstdint>
#include <functional>

#include "profiler/predict/allocator_statistics.h"

namespace sbp::predict {

struct SegmentEvent {
  using Kind = profiler::SegmentChange;  // allocated: with cudaMalloc
  Kind kind = Kind::allocated;
  PoolKind pool = PoolKind::small;
  int stream = 0;
  std::uint64_t address = 0;
  std::int64_t bytes = 0;

  bool operator==(const SegmentEvent&) const = default;
};

// Must not call the allocator.
using SegmentObserver = std::function<void(const SegmentEvent&)>;

}  // namespace sbp::predict
