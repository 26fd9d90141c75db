#include "profiler/allocator_log.h"

#include <algorithm>

namespace sbp::profiler {
namespace {

using What = AllocatorLogEvent::What;

void apply(const AllocatorLog& log, const AllocatorLogEvent& event, AllocatorLogBytes& now) {
  if (event.what == What::segment) {
    const AllocatorLog::Segment& segment = log.segments[event.index];
    now.reserved += is_gain(segment.kind) ? segment.bytes : -segment.bytes;
    return;
  }
  const AllocatorLog::Block& block = log.blocks[event.index];
  const bool awaits = event.what == What::free_request;
  if (awaits) now.awaiting += block.block_bytes;
  if (event.what == What::death && block.free_requested_event >= 0) {
    now.awaiting -= block.block_bytes;
    return;
  }
  const std::int64_t sign = event.what == What::birth ? 1 : -1;
  now.requested += sign * block.requested_bytes;
  now.allocated += sign * block.block_bytes;
}

void raise(AllocatorLogBytes& peak, const AllocatorLogBytes& now) {
  peak.requested = std::max(peak.requested, now.requested);
  peak.allocated = std::max(peak.allocated, now.allocated);
  peak.awaiting = std::max(peak.awaiting, now.awaiting);
  peak.reserved = std::max(peak.reserved, now.reserved);
}

}  // namespace

std::vector<AllocatorLogEvent> events_of(const AllocatorLog& log) {
  std::vector<AllocatorLogEvent> events;
  const auto add = [&](std::int64_t number, What what, std::size_t index) {
    if (number >= 0) events.push_back({number, what, index});
  };
  for (std::size_t i = 0; i < log.blocks.size(); ++i) {
    add(log.blocks[i].born_event, What::birth, i);
    add(log.blocks[i].free_requested_event, What::free_request, i);
    add(log.blocks[i].died_event, What::death, i);
  }
  for (std::size_t i = 0; i < log.segments.size(); ++i) {
    add(log.segments[i].event, What::segment, i);
  }
  std::ranges::sort(events, {}, &AllocatorLogEvent::number);
  return events;
}

AllocatorLogSums summed(const AllocatorLog& log, const std::vector<AllocatorLogEvent>& events) {
  AllocatorLogSums sums;
  AllocatorLogBytes& now = sums.end;
  for (const AllocatorLogEvent& event : events) {
    apply(log, event, now);
    if (event.number + 1 < log.older_events) continue;
    const bool begins = event.number + 1 == log.older_events;
    if (begins || now.requested > sums.at_requested_peak.requested) sums.at_requested_peak = now;
    raise(sums.peak, now);
  }
  return sums;
}

}  // namespace sbp::profiler
