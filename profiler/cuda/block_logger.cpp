#include "profiler/cuda/block_logger.h"

#include <algorithm>

#include "profiler/problems.h"

namespace sbp::profiler {
namespace {

constexpr std::int64_t kTracedStep = 1;
// More than any device has. Ends of places and sums of sizes stay far from overflow.
constexpr std::int64_t kMost = std::int64_t{1} << 61;

}  // namespace

BlockLogger::BlockLogger(const AllocatorTrace& trace, std::span<const LayerTable::Layer> layers,
                         AllocatorLog& log)
    : trace_(trace), layers_(layers), log_(log) {}

void BlockLogger::changed(std::int64_t event, SegmentChange change, PoolKind pool,
                          const Place& place) {
  log_.segments.push_back({.event = next_event(event),
                           .kind = change,
                           .pool = pool,
                           .address = placed(place),
                           .bytes = place.bytes});
}

void BlockLogger::born(std::int64_t event, const Place& block, std::int64_t requested_bytes) {
  const bool is_older = event < 0;
  live_[block.address] = log_.blocks.size();
  log_.blocks.push_back({.born_event = next_event(event),
                         .address = placed(block),
                         .requested_bytes = requested_bytes,
                         .block_bytes = block.bytes,
                         .step = is_older ? 0 : kTracedStep,
                         .phase = phase_at(event),
                         .layer = layer_at(event)});
}

void BlockLogger::free_requested(std::int64_t event, std::uint64_t address) {
  log_.blocks[live_.at(address)].free_requested_event = next_event(event);
}

void BlockLogger::died(std::int64_t event, std::uint64_t address) {
  log_.blocks[live_.at(address)].died_event = next_event(event);
  live_.erase(address);
}

std::int64_t BlockLogger::next_event(std::int64_t event) {
  const auto number = std::ssize(log_.event_ns);
  const std::uint64_t time_ns =
      event < 0 ? trace_.start_ns : trace_.events[static_cast<std::size_t>(event)].time_ns;
  // Never back, whatever the trace says.
  const std::uint64_t since = time_ns > trace_.start_ns ? time_ns - trace_.start_ns : 0;
  log_.event_ns.push_back(number == 0 ? since : std::max(since, log_.event_ns.back()));
  if (event < 0) log_.older_events = number + 1;
  return number;
}

std::int64_t BlockLogger::placed(const Place& place) {
  const bool is_low = place.address <= static_cast<std::uint64_t>(kMost);
  const bool is_small = place.bytes <= kMost - all_bytes_;
  if (problem_.empty() && !(is_low && is_small)) {
    problem_ = concat("no device has ", place.bytes, " bytes at ", hex(place.address));
  }
  if (is_small) all_bytes_ += place.bytes;
  return is_low ? static_cast<std::int64_t>(place.address) : kMost;
}

Phase BlockLogger::phase_at(std::int64_t event) {
  while (phases_begun_ < trace_.phases.size() && trace_.phases[phases_begun_].event <= event) {
    ++phases_begun_;
  }
  return phases_begun_ == 0 ? Phase::setup : trace_.phases[phases_begun_ - 1].phase;
}

std::string BlockLogger::layer_at(std::int64_t event) const {
  if (event < 0) return {};
  const LayerId layer = trace_.events[static_cast<std::size_t>(event)].layer;
  const bool is_known = layer >= 0 && layer < std::ssize(layers_);
  return is_known ? layers_[static_cast<std::size_t>(layer)].name : std::string();
}

}  // namespace sbp::profiler
