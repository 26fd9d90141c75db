#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <vector>

#include "reports/memory_pickle.h"
#include "reports/sections.h"
#include "reports/snapshot_pickle.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using predict::AllocatorLog;
using Kind = predict::SegmentEvent::Kind;

// What happened, in order.
struct Event {
  enum class What { birth, death, segment };
  std::int64_t number = 0;
  What what = What::birth;
  std::size_t index = 0;  // of the block or of the change of a segment
};

std::vector<Event> events_of(const AllocatorLog& log) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < log.blocks.size(); ++i) {
    events.push_back({log.blocks[i].born_event, Event::What::birth, i});
    const std::int64_t died = log.blocks[i].died_event;
    if (died >= 0) events.push_back({died, Event::What::death, i});
  }
  for (std::size_t i = 0; i < log.segments.size(); ++i) {
    events.push_back({log.segments[i].event, Event::What::segment, i});
  }
  std::ranges::sort(events, {}, &Event::number);
  return events;
}

bool adds(Kind kind) {
  return kind == Kind::allocated || kind == Kind::mapped;
}

// The memory that is held: stretches by address.
class Held {
 public:
  struct Stretch {
    std::int64_t bytes = 0;
    predict::PoolKind pool = predict::PoolKind::small;
    bool is_expandable = false;
  };

  void change(const AllocatorLog::Segment& segment) {
    const bool is_expandable = segment.kind == Kind::mapped || segment.kind == Kind::unmapped;
    if (adds(segment.kind)) {
      add(segment.address, {segment.bytes, segment.pool, is_expandable});
    } else {
      remove(segment);
    }
  }

  const std::map<std::int64_t, Stretch>& stretches() const { return stretches_; }

 private:
  // Neighbours that are mapped become one.
  void add(std::int64_t address, Stretch added) {
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

  void remove(const AllocatorLog::Segment& segment) {
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

  [[noreturn]] static void fail(const AllocatorLog::Segment& segment) {
    throw Error(concat("cannot export the prediction: ", segment.bytes, " bytes at ",
                       segment.address, " are given back and are not held"));
  }

  std::map<std::int64_t, Stretch> stretches_;
};

struct Peaks {
  std::int64_t requested_bytes = 0;
  std::int64_t allocated_bytes = 0;
  std::int64_t reserved_bytes = 0;
};

Peaks peaks_of(const AllocatorLog& log, const std::vector<Event>& events) {
  Peaks now, most;
  for (const Event& event : events) {
    if (event.what == Event::What::segment) {
      const AllocatorLog::Segment& segment = log.segments[event.index];
      now.reserved_bytes += adds(segment.kind) ? segment.bytes : -segment.bytes;
    } else {
      const AllocatorLog::Block& block = log.blocks[event.index];
      const std::int64_t sign = event.what == Event::What::birth ? 1 : -1;
      now.requested_bytes += sign * block.requested_bytes;
      now.allocated_bytes += sign * block.block_bytes;
    }
    most.requested_bytes = std::max(most.requested_bytes, now.requested_bytes);
    most.allocated_bytes = std::max(most.allocated_bytes, now.allocated_bytes);
    most.reserved_bytes = std::max(most.reserved_bytes, now.reserved_bytes);
  }
  return most;
}

void require_peaks(const predict::Prediction& prediction, const Peaks& peaks) {
  const auto require = [](const char* what, std::int64_t replayed, std::int64_t told) {
    if (replayed == told) return;
    throw Error(concat("cannot export the prediction: its blocks add up to a peak of ", replayed,
                       " bytes ", what, ", and it says ", told));
  };
  require("requested", peaks.requested_bytes, prediction.peak_requested_bytes);
  require("allocated", peaks.allocated_bytes, prediction.peak_allocated_bytes);
  require("reserved", peaks.reserved_bytes, prediction.peak_reserved_bytes);
}

class Writer {
 public:
  explicit Writer(const PredictionReport& report)
      : report_(report), log_(*report.prediction.blocks), events_(events_of(log_)) {
    require_peaks(report.prediction, peaks_of(log_, events_));
  }

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
  using Block = AllocatorLog::Block;
  using BlocksByAddress = std::map<std::int64_t, const Block*>;

  // Blocks of the same owner share one list.
  void frames(const Block& block) {
    pickle_.text("frames");
    const auto key = std::tuple(block.layer, block.category, block.step, block.phase);
    if (const auto known = frames_.find(key); known != frames_.end()) {
      pickle_.recall(known->second);
    } else {
      pickle_.list();
      pickle_.frame(layer_text(block.layer), spaced(to_string(block.category)));
      pickle_.frame(concat("step ", block.step), "born in " + spaced(to_string(block.phase)));
      frames_.emplace(key, pickle_.remember());
    }
    pickle_.set_item();
  }

  // ---- what is held at the end

  void segments() {
    Held held;
    for (const AllocatorLog::Segment& segment : log_.segments) held.change(segment);
    BlocksByAddress live;
    for (const Block& block : log_.blocks) {
      if (block.died_event < 0) live.emplace(block.address, &block);
    }
    pickle_.list();
    std::size_t placed = 0;
    for (const auto& [address, stretch] : held.stretches()) {
      placed += segment(address, stretch, live);
    }
    if (placed != live.size()) {
      throw Error("cannot export the prediction: a block of it lies in no segment");
    }
  }

  // How many blocks lie in it.
  std::size_t segment(std::int64_t address, const Held::Stretch& stretch,
                      const BlocksByAddress& live) {
    const std::int64_t end = address + stretch.bytes;
    const auto first = live.lower_bound(address), last = live.lower_bound(end);
    SnapshotPickle::Segment head{.address = address,
                                 .bytes = stretch.bytes,
                                 .pool = to_string(stretch.pool),
                                 .is_expandable = stretch.is_expandable};
    for (auto block = first; block != last; ++block) {
      head.allocated_bytes += block->second->block_bytes;
      head.requested_bytes += block->second->requested_bytes;
    }
    pickle_.begin_segment(head);
    pickle_.text("blocks");
    pickle_.list();
    // Without gaps: the viewer adds sizes up to find addresses.
    std::int64_t at = address;
    for (auto block = first; block != last; ++block) {
      if (block->first < at) {
        throw Error("cannot export the prediction: two blocks of it lie over each other");
      }
      if (block->first > at) free_block(at, block->first - at);
      live_block(*block->second);
      at = block->first + block->second->block_bytes;
    }
    if (at > end) throw Error("cannot export the prediction: a block ends behind its segment");
    if (at < end) free_block(at, end - at);
    pickle_.set_item();
    pickle_.append();
    return static_cast<std::size_t>(std::distance(first, last));
  }

  void begin_block(std::int64_t address, std::int64_t bytes, std::int64_t requested_bytes) {
    pickle_.dict();
    pickle_.number("address", address);
    pickle_.number("size", bytes);
    pickle_.number("requested_size", requested_bytes);
  }

  void free_block(std::int64_t address, std::int64_t bytes) {
    begin_block(address, bytes, 0);
    pickle_.word("state", "inactive");
    pickle_.no_frames();
    pickle_.append();
  }

  void live_block(const Block& block) {
    begin_block(block.address, block.block_bytes, block.requested_bytes);
    pickle_.word("state", "active_allocated");
    frames(block);
    pickle_.append();
  }

  // ---- what happened

  void traces() {
    pickle_.list();
    pickle_.list();
    for (const Event& event : events_) take(event);
    // Viewers that colour by category look for this one, and fail where it never occurs.
    const std::int64_t end = events_.empty() ? 0 : events_.back().number + 1;
    pickle_.begin_event("snapshot", 0, 0, end);
    pickle_.word("category", to_string(profiler::Category::unknown));
    pickle_.no_frames();
    pickle_.append();
    pickle_.append();
  }

  void take(const Event& event) {
    if (event.what == Event::What::segment) {
      const AllocatorLog::Segment& segment = log_.segments[event.index];
      pickle_.begin_event(to_string(segment.kind), segment.address, segment.bytes, event.number);
      pickle_.no_frames();
      pickle_.append();
      return;
    }
    const Block& block = log_.blocks[event.index];
    if (event.what == Event::What::birth) return block_event("alloc", event, block);
    block_event("free_requested", event, block);
    block_event("free_completed", event, block);
  }

  void block_event(const char* action, const Event& event, const Block& block) {
    pickle_.begin_event(action, block.address, block.requested_bytes, event.number);
    pickle_.number("block_size", block.block_bytes);
    pickle_.word("category", to_string(block.category));
    frames(block);
    pickle_.append();
  }

  void settings() {
    const predict::Prediction& prediction = report_.prediction;
    pickle_.dict();
    pickle_.word("made_by", "sbp-report, from the blocks that sbp-profile --predict --blocks kept");
    pickle_.word("addresses", "of a simulated allocator, its times are numbers of events");
    pickle_.word("model", report_.model.spec);
    pickle_.word("strategy", report_.strategy.spec);
    pickle_.word("predicted_for", prediction.device);
    pickle_.word("allocator", prediction.allocator);
    pickle_.number("peak_requested_bytes", prediction.peak_requested_bytes);
    pickle_.number("peak_allocated_bytes", prediction.peak_allocated_bytes);
    pickle_.number("peak_reserved_bytes", prediction.peak_reserved_bytes);
    pickle_.number("peak_device_bytes", prediction.peak_device_bytes);
  }

  const PredictionReport& report_;
  const AllocatorLog& log_;
  std::vector<Event> events_;
  SnapshotPickle pickle_;
  std::map<std::tuple<std::string, profiler::Category, std::int64_t, Phase>, std::uint32_t> frames_;
};

}  // namespace

std::string memory_pickle(const PredictionReport& report) {
  return Writer(report).write();
}

}  // namespace sbp::reports
