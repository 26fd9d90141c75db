#include "reports/memory_snapshot.h"

#include <iterator>
#include <map>
#include <tuple>

#include "reports/held_memory.h"
#include "reports/sections.h"
#include "reports/snapshot_pickle.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using profiler::AllocatorLog;
using profiler::AllocatorLogEvent;

class Writer {
 public:
  explicit Writer(const MemorySnapshot& snapshot) : snapshot_(snapshot), log_(snapshot.log) {}

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

  // A run that was traced is one step.
  bool is_traced() const { return !log_.event_ns.empty(); }

  // Blocks of the same owner share one list.
  void frames(const Block& block) {
    pickle_.text("frames");
    const auto key = std::tuple(block.layer, block.category, block.step, block.phase, block.saved);
    if (const auto known = frames_.find(key); known != frames_.end()) {
      pickle_.recall(known->second);
    } else {
      pickle_.list();
      pickle_.frame(layer_text(block.layer), concat(spaced(to_string(block.category)),
                                                    block.saved ? ", saved for backward" : ""));
      pickle_.frame(is_traced() ? "step" : concat("step ", block.step),
                    "born in " + spaced(to_string(block.phase)));
      frames_.emplace(key, pickle_.remember());
    }
    pickle_.set_item();
  }

  // ---- what is held at the end

  void segments() {
    HeldMemory held;
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
      throw Error("cannot export the blocks: one of them lies in no segment");
    }
  }

  // How many blocks lie in it.
  std::size_t segment(std::int64_t address, const HeldMemory::Stretch& stretch,
                      const BlocksByAddress& live) {
    const std::int64_t end = address + stretch.bytes;
    const auto first = live.lower_bound(address), last = live.lower_bound(end);
    SnapshotPickle::Segment head{.address = address,
                                 .bytes = stretch.bytes,
                                 .pool = to_string(stretch.pool),
                                 .is_expandable = stretch.is_expandable};
    for (auto block = first; block != last; ++block) {
      head.active_bytes += block->second->block_bytes;
      head.requested_bytes += block->second->requested_bytes;
      if (!awaits(*block->second)) head.allocated_bytes += block->second->block_bytes;
    }
    pickle_.begin_segment(head);
    pickle_.text("blocks");
    pickle_.list();
    // Without gaps: the viewer adds sizes up to find addresses.
    std::int64_t at = address;
    for (auto block = first; block != last; ++block) {
      if (block->first < at) {
        throw Error("cannot export the blocks: two of them lie over each other");
      }
      if (block->first > at) free_block(at, block->first - at);
      live_block(*block->second);
      at = block->first + block->second->block_bytes;
    }
    if (at > end) throw Error("cannot export the blocks: one of them ends behind its segment");
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

  // Its tensor is gone, and a stream still uses it.
  static bool awaits(const Block& block) { return block.free_requested_event >= 0; }

  void live_block(const Block& block) {
    begin_block(block.address, block.block_bytes, block.requested_bytes);
    pickle_.word("state", awaits(block) ? "active_pending_free" : "active_allocated");
    frames(block);
    pickle_.append();
  }

  // ---- what happened

  void traces() {
    pickle_.list();
    pickle_.list();
    for (const AllocatorLogEvent& event : events_of(log_)) take(event);
    pickle_.end_of_trace(snapshot_.end_us);
    pickle_.append();
  }

  void take(const AllocatorLogEvent& event) {
    const std::int64_t time_us = time_of(event.number);
    if (event.what == AllocatorLogEvent::What::segment) {
      const AllocatorLog::Segment& segment = log_.segments[event.index];
      pickle_.begin_event(to_string(segment.kind), segment.address, segment.bytes, time_us);
      pickle_.no_frames();
      pickle_.append();
      return;
    }
    const Block& block = log_.blocks[event.index];
    switch (event.what) {
      case AllocatorLogEvent::What::birth: return block_event("alloc", time_us, block);
      case AllocatorLogEvent::What::free_request:
        return block_event("free_requested", time_us, block);
      default: break;
    }
    if (!awaits(block)) block_event("free_requested", time_us, block);
    block_event("free_completed", time_us, block);
  }

  void block_event(const char* action, std::int64_t time_us, const Block& block) {
    pickle_.begin_event(action, block.address, block.requested_bytes, time_us);
    if (snapshot_.has_block_sizes) pickle_.number("block_size", block.block_bytes);
    pickle_.word("category", to_string(block.category));
    frames(block);
    pickle_.append();
  }

  std::int64_t time_of(std::int64_t event) const {
    if (!is_traced()) return event;
    return static_cast<std::int64_t>(log_.event_ns[static_cast<std::size_t>(event)] / 1000);
  }

  void settings() {
    pickle_.dict();
    for (const auto& [key, value] : snapshot_.settings) {
      if (const auto* number = std::get_if<std::int64_t>(&value)) {
        pickle_.number(key, *number);
      } else {
        pickle_.word(key, std::get<std::string>(value));
      }
    }
  }

  const MemorySnapshot& snapshot_;
  const AllocatorLog& log_;
  SnapshotPickle pickle_;
  std::map<std::tuple<std::string, profiler::Category, std::int64_t, Phase, bool>, std::uint32_t>
      frames_;
};

}  // namespace

std::string pickled(const MemorySnapshot& snapshot) {
  return Writer(snapshot).write();
}

}  // namespace sbp::reports
