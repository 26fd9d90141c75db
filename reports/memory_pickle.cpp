#include "reports/memory_pickle.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "reports/memory_events.h"
#include "reports/sections.h"
#include "reports/snapshot_pickle.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

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
  std::int64_t end_ = 0;
};

// Where each block lies, from the segment's start.
struct Layout {
  std::vector<std::int64_t> places;
  std::int64_t bytes = 0;
};

Layout laid_out(const BlockLives& blocks, const std::vector<MemoryEvent>& events) {
  Layout layout;
  layout.places.resize(blocks.lives.size());
  Places places;
  for (const MemoryEvent& event : events) {
    const std::int64_t bytes = blocks.lives[event.block].bytes;
    if (bytes == 0) continue;
    if (event.birth) {
      layout.places[event.block] = places.take(bytes);
    } else {
      places.give_back(layout.places[event.block], bytes);
    }
  }
  layout.bytes = places.end();
  return layout;
}

class Writer {
 public:
  explicit Writer(const ProfileReport& report)
      : report_(report),
        blocks_(*report.memory.blocks),
        events_(memory_events(blocks_)),
        layout_(laid_out(blocks_, events_)) {}

  std::string write() && {
    pickle_.dict();
    pickle_.text("segments");
    segments();
    pickle_.set_item();
    pickle_.text("device_traces");
    traces();
    pickle_.set_item();
    pickle_.text("allocator_settings");
    settings();
    pickle_.set_item();
    return std::move(pickle_).take();
  }

 private:
  // Blocks of the same owner share one list.
  void frames(const BlockLife& life) {
    pickle_.text("frames");
    const auto key = std::tuple(life.layer, life.category, life.phase, life.saved);
    if (const auto known = frames_.find(key); known != frames_.end()) {
      pickle_.recall(known->second);
    } else {
      pickle_.list();
      pickle_.frame(layer_text(life.layer), concat(spaced(to_string(life.category)),
                                                   life.saved ? ", saved for backward" : ""));
      pickle_.frame("step", concat("born in ", spaced(to_string(life.phase))));
      frames_.emplace(key, pickle_.remember());
    }
    pickle_.set_item();
  }

  // ---- what is live at the end

  void segments() {
    pickle_.list();
    if (layout_.bytes == 0) return;
    std::int64_t live_bytes = 0;
    std::map<std::int64_t, const BlockLife*> live;
    for (std::size_t i = 0; i < blocks_.lives.size(); ++i) {
      const BlockLife& life = blocks_.lives[i];
      if (life.died_record >= 0 || life.bytes == 0) continue;
      live.emplace(layout_.places[i], &life);
      live_bytes += life.bytes;
    }
    pickle_.begin_segment({.address = kFirstAddress,
                           .bytes = layout_.bytes,
                           .allocated_bytes = live_bytes,
                           .requested_bytes = live_bytes});
    pickle_.text("blocks");
    blocks_in_segment(live);
    pickle_.set_item();
    pickle_.append();
  }

  // Without gaps: the viewer adds sizes up to find addresses.
  void blocks_in_segment(const std::map<std::int64_t, const BlockLife*>& live) {
    pickle_.list();
    std::int64_t at = 0;
    for (const auto& [place, life] : live) {
      if (place > at) block(at, place - at, nullptr);
      block(place, life->bytes, life);
      at = place + life->bytes;
    }
    if (at < layout_.bytes) block(at, layout_.bytes - at, nullptr);
  }

  void block(std::int64_t place, std::int64_t bytes, const BlockLife* life) {
    pickle_.dict();
    pickle_.number("address", kFirstAddress + place);
    pickle_.number("size", bytes);
    pickle_.number("requested_size", life == nullptr ? 0 : bytes);
    pickle_.word("state", life == nullptr ? "inactive" : "active_allocated");
    if (life == nullptr) {
      pickle_.no_frames();
    } else {
      frames(*life);
    }
    pickle_.append();
  }

  // ---- what happened

  void traces() {
    pickle_.list();
    pickle_.list();
    if (layout_.bytes > 0) {
      begin_event("segment_alloc", 0, layout_.bytes, 0);
      pickle_.no_frames();
      pickle_.append();
    }
    for (const MemoryEvent& event : events_) take(event);
    // Viewers that colour by category look for this one, and fail where it never occurs.
    begin_event("snapshot", 0, 0, blocks_.end_ns);
    pickle_.word("category", to_string(profiler::Category::unknown));
    pickle_.no_frames();
    pickle_.append();
    pickle_.append();
  }

  void take(const MemoryEvent& event) {
    const BlockLife& life = blocks_.lives[event.block];
    if (life.bytes == 0) return;
    if (event.birth) {
      block_event("alloc", event, life);
    } else {
      block_event("free_requested", event, life);
      block_event("free_completed", event, life);
    }
  }

  void block_event(const char* action, const MemoryEvent& event, const BlockLife& life) {
    begin_event(action, layout_.places[event.block], life.bytes, event.time_ns);
    pickle_.word("category", to_string(life.category));
    frames(life);
    pickle_.append();
  }

  void begin_event(const char* action, std::int64_t place, std::int64_t bytes,
                   std::uint64_t time_ns) {
    pickle_.begin_event(action, kFirstAddress + place, bytes,
                        static_cast<std::int64_t>(time_ns / 1000));
  }

  void settings() {
    pickle_.dict();
    pickle_.word("made_by", "sbp-report, from the blocks that sbp-profile --blocks kept");
    pickle_.word("addresses", "made up: blocks are placed first-fit");
    pickle_.word("model", report_.model.spec);
    pickle_.word("strategy", report_.strategy.spec);
    pickle_.number("peak_bytes", report_.memory.peak.bytes);
  }

  const ProfileReport& report_;
  const BlockLives& blocks_;
  std::vector<MemoryEvent> events_;
  Layout layout_;
  SnapshotPickle pickle_;
  std::map<std::tuple<std::string, profiler::Category, Phase, bool>, std::uint32_t> frames_;
};

}  // namespace

std::string memory_pickle(const ProfileReport& report) {
  return Writer(report).write();
}

}  // namespace sbp::reports
