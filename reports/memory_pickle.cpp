#include "reports/memory_pickle.h"

#include <algorithm>

#include "reports/first_fit.h"
#include "reports/memory_snapshot.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using profiler::AllocatorLog;
using profiler::AllocatorLogSums;

std::int64_t microseconds(std::uint64_t time_ns) {
  return static_cast<std::int64_t>(time_ns / 1000);
}

AllocatorLogSums sums_of(const AllocatorLog& log) {
  return summed(log, events_of(log));
}

// What the blocks of a report add up to is what the report says.
void require(const char* what, std::int64_t replayed, std::int64_t told) {
  if (replayed == told) return;
  throw Error(concat("cannot export the blocks: they add up to a peak of ", replayed, " bytes ",
                     what, ", and the report says ", told));
}

// No allocator of segments was there, or none was logged.
std::string invented(const ProfileReport& report) {
  const AllocatorLog log = first_fit(*report.memory.blocks);
  return pickled(
      {.log = log,
       .has_block_sizes = false,
       .end_us = microseconds(report.memory.blocks->end_ns),
       .settings = {{"made_by", "sbp-report, from the blocks that sbp-profile --blocks kept"},
                    {"addresses", "made up: blocks are placed first-fit"},
                    {"model", report.model.spec},
                    {"strategy", report.strategy.spec},
                    {"peak_bytes", report.memory.peak.bytes}}});
}

void require_sums(const DeviceMemory& memory) {
  const AllocatorLogSums sums = sums_of(*memory.blocks);
  require("requested", sums.peak.requested, memory.requested_bytes);
  require("reserved", sums.peak.reserved, memory.peak_reserved_bytes);
  // The moment when tensors asked for most.
  const profiler::AllocatorLogBytes& then = sums.at_requested_peak;
  require("allocated", then.allocated, memory.requested_bytes + memory.rounding_bytes);
  require("awaiting a stream", then.awaiting, memory.awaiting_bytes);
  require("reserved when most is requested", then.reserved, memory.reserved_bytes);
}

std::string of_device(const ProfileReport& report, const DeviceMemory& memory) {
  require_sums(memory);
  const AllocatorLog& log = *memory.blocks;
  const std::uint64_t last_ns = log.event_ns.empty() ? 0 : log.event_ns.back();
  const std::uint64_t end_ns = report.memory.blocks ? report.memory.blocks->end_ns : 0;
  return pickled(
      {.log = log,
       .end_us = microseconds(std::max(last_ns, end_ns)),
       .settings = {{"made_by", "sbp-report, from the blocks that sbp-profile --blocks kept"},
                    {"addresses", "of the device's allocator, blocks sized as its events imply"},
                    {"model", report.model.spec},
                    {"strategy", report.strategy.spec},
                    {"balanced", memory.balanced ? "yes" : "no: " + memory.first_problem},
                    {"peak_requested_bytes", memory.requested_bytes},
                    {"peak_reserved_bytes", memory.peak_reserved_bytes}}});
}

}  // namespace

std::string memory_pickle(const ProfileReport& report) {
  const bool has_addresses = report.device_memory && report.device_memory->blocks;
  return has_addresses ? of_device(report, *report.device_memory) : invented(report);
}

std::string memory_pickle(const PredictionReport& report) {
  const predict::Prediction& prediction = report.prediction;
  const AllocatorLog& log = *prediction.blocks;
  const AllocatorLogSums sums = sums_of(log);
  require("requested", sums.peak.requested, prediction.peak_requested_bytes);
  require("allocated", sums.peak.allocated, prediction.peak_allocated_bytes);
  require("reserved", sums.peak.reserved, prediction.peak_reserved_bytes);
  const auto events = events_of(log);
  return pickled(
      {.log = log,
       .end_us = events.empty() ? 0 : events.back().number + 1,
       .settings = {
           {"made_by", "sbp-report, from the blocks that sbp-profile --predict --blocks kept"},
           {"addresses", "of a simulated allocator, its times are numbers of events"},
           {"model", report.model.spec},
           {"strategy", report.strategy.spec},
           {"predicted_for", prediction.device},
           {"allocator", prediction.allocator},
           {"peak_requested_bytes", prediction.peak_requested_bytes},
           {"peak_allocated_bytes", prediction.peak_allocated_bytes},
           {"peak_reserved_bytes", prediction.peak_reserved_bytes},
           {"peak_device_bytes", prediction.peak_device_bytes}}});
}

}  // namespace sbp::reports
