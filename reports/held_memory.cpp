#include "reports/held_memory.h"

#include <iterator>

#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using profiler::AllocatorLog;
using profiler::SegmentChange;

[[noreturn]] void fail(const AllocatorLog::Segment& segment) {
  throw Error(concat("cannot export the blocks: ", segment.bytes, " bytes at ", segment.address,
                     " are given back and are not held"));
}

}  // namespace

void HeldMemory::change(const AllocatorLog::Segment& segment) {
  if (!is_gain(segment.kind)) return remove(segment);
  const bool is_expandable = segment.kind == SegmentChange::mapped;
  add(segment.address, {segment.bytes, segment.pool, is_expandable});
}

void HeldMemory::add(std::int64_t address, Stretch added) {
  const auto joins = [&](const Stretch& other) {
    return added.is_expandable && other.is_expandable && other.pool == added.pool;
  };
  auto next = stretches_.lower_bound(address);
  if (next != stretches_.end() && next->first == address + added.bytes && joins(next->second)) {
    added.bytes += next->second.bytes;
    next = stretches_.erase(next);
  }
  if (next != stretches_.begin()) {
    Stretch& before = std::prev(next)->second;
    if (std::prev(next)->first + before.bytes == address && joins(before)) {
      before.bytes += added.bytes;
      return;
    }
  }
  stretches_[address] = added;
}

void HeldMemory::remove(const AllocatorLog::Segment& segment) {
  auto found = stretches_.upper_bound(segment.address);
  if (found == stretches_.begin()) fail(segment);
  --found;
  const auto [address, stretch] = *found;
  const std::int64_t end = address + stretch.bytes, cut_end = segment.address + segment.bytes;
  if (cut_end > end) fail(segment);
  stretches_.erase(found);
  if (segment.address > address) {
    stretches_[address] = {segment.address - address, stretch.pool, stretch.is_expandable};
  }
  if (cut_end < end) stretches_[cut_end] = {end - cut_end, stretch.pool, stretch.is_expandable};
}

}  // namespace sbp::reports
