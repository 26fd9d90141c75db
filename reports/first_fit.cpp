#include "reports/first_fit.h"

#include <map>
#include <vector>

#include "reports/memory_events.h"

namespace sbp::reports {
namespace {

using profiler::AllocatorLog;
using profiler::BlockLife;
using profiler::BlockLives;

constexpr std::int64_t kFirstAddress = std::int64_t{1} << 40;

// Free ranges of a segment that grows at its end.
class Places {
 public:
  std::int64_t take(std::int64_t bytes) {
    for (auto range = free_.begin(); range != free_.end(); ++range) {
      if (range->second < bytes) continue;
      const std::int64_t place = range->first;
      const std::int64_t left = range->second - bytes;
      free_.erase(range);
      if (left > 0) free_.emplace(place + bytes, left);
      return place;
    }
    const std::int64_t place = end_;
    end_ += bytes;
    return place;
  }

  void give_back(std::int64_t place, std::int64_t bytes) {
    const auto next = free_.lower_bound(place);
    if (next != free_.end() && next->first == place + bytes) {
      bytes += next->second;
      free_.erase(next);
    }
    const auto after = free_.lower_bound(place);
    if (after != free_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == place) {
        before->second += bytes;
        return;
      }
    }
    free_.emplace(place, bytes);
  }

  std::int64_t end() const { return end_; }

 private:
  std::map<std::int64_t, std::int64_t> free_;  // place -> bytes
  std::int64_t end_ = kFirstAddress;
};

AllocatorLog::Block placed(const BlockLife& life, std::int64_t event, std::int64_t address) {
  return {.born_event = event,
          .address = address,
          .requested_bytes = life.bytes,
          .block_bytes = life.bytes,
          .category = life.category,
          .phase = life.phase,
          .layer = life.layer,
          .saved = life.saved};
}

}  // namespace

AllocatorLog first_fit(const BlockLives& blocks) {
  AllocatorLog log;
  log.event_ns.push_back(0);  // the segment's
  Places places;
  std::vector<std::size_t> rows(blocks.lives.size());  // of each block in the log
  for (const MemoryEvent& event : memory_events(blocks)) {
    const BlockLife& life = blocks.lives[event.block];
    if (life.bytes == 0) continue;
    const auto number = std::ssize(log.event_ns);
    log.event_ns.push_back(event.time_ns);
    if (event.birth) {
      rows[event.block] = log.blocks.size();
      log.blocks.push_back(placed(life, number, places.take(life.bytes)));
    } else {
      AllocatorLog::Block& block = log.blocks[rows[event.block]];
      block.died_event = number;
      places.give_back(block.address, block.block_bytes);
    }
  }
  const std::int64_t bytes = places.end() - kFirstAddress;
  if (bytes > 0) {
    log.segments.push_back(
        {.pool = profiler::PoolKind::large, .address = kFirstAddress, .bytes = bytes});
  }
  return log;
}

}  // namespace sbp::reports
