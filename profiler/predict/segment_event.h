// What the allocator does with the device, for whoever wants to log it.
#pragma once

#include <cstdint>
#include <functional>

#include "profiler/predict/allocator_statistics.h"

namespace sbp::predict {

struct SegmentEvent {
  // A segment taken with cudaMalloc or given back; part of an expandable one mapped or unmapped.
  enum class Kind : std::uint8_t { allocated, freed, mapped, unmapped };
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
