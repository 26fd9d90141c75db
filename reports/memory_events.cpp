#include "reports/memory_events.h"

#include <algorithm>

#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

std::int64_t peak_of(const profiler::BlockLives& blocks) {
  std::int64_t live = 0, peak = 0;
  for (const MemoryEvent& event : memory_events(blocks)) {
    const std::int64_t bytes = blocks.lives[event.block].bytes;
    live += event.birth ? bytes : -bytes;
    peak = std::max(peak, live);
  }
  return peak;
}

Error no_blocks(const NamedReport& report) {
  return Error(concat("cannot export '", report.name,
                      "': it does not hold the lives of its blocks; profile again with --blocks"));
}

}  // namespace

std::vector<MemoryEvent> memory_events(const profiler::BlockLives& blocks) {
  std::vector<MemoryEvent> events;
  events.reserve(2 * blocks.lives.size());
  for (std::size_t i = 0; i < blocks.lives.size(); ++i) {
    const profiler::BlockLife& life = blocks.lives[i];
    events.push_back({life.born_record, life.born_ns, i, true});
    if (life.died_record >= 0) events.push_back({life.died_record, life.died_ns, i, false});
  }
  std::ranges::stable_sort(events, [](const MemoryEvent& a, const MemoryEvent& b) {
    return a.record != b.record ? a.record < b.record : !a.birth && b.birth;
  });
  return events;
}

const PredictionReport* prediction_with_blocks(const NamedReport& report) {
  const auto* prediction = std::get_if<PredictionReport>(&report.report);
  if (prediction != nullptr && !prediction->prediction.blocks) throw no_blocks(report);
  return prediction;
}

const ProfileReport& profile_with_blocks(const NamedReport& report) {
  const auto* profile = std::get_if<ProfileReport>(&report.report);
  if (profile == nullptr) {
    throw Error(concat("cannot export '", report.name, "' of kind '", kind_of(report.report),
                       "'; give a report of sbp-profile --blocks"));
  }
  const profiler::MemoryProfile& memory = profile->memory;
  if (!memory.blocks) throw no_blocks(report);
  const std::int64_t peak = peak_of(*memory.blocks);
  if (peak != memory.peak.bytes) {
    throw Error(concat("cannot export '", report.name, "': its blocks add up to a peak of ", peak,
                       " bytes, and it says ", memory.peak.bytes));
  }
  return *profile;
}

}  // namespace sbp::reports
