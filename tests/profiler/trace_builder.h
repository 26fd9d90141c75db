// Writes traces by hand: invented addresses, one call a record.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profiler/memory_profile.h"
#include "profiler/record.h"
#include "profiler/trace.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {

// Keeps what a tracer would know by itself: the open layer scopes of each thread, the running
// node, the allocator's live counter. Times are record index x 10 ns.
class TraceBuilder {
 public:
  explicit TraceBuilder(const std::vector<std::string>& layers = {}) {
    for (const std::string& name : layers) trace_.layers.push_back({name, "linear"});
  }

  // The records that follow are of this thread.
  TraceBuilder& on(std::uint16_t thread) {
    thread_ = thread;
    return *this;
  }
  // The records that follow are made while this backward node runs; kNoNode: none.
  TraceBuilder& node(std::uint64_t node) {
    node_ = node;
    return *this;
  }

  TraceBuilder& allocate(std::uint64_t address, std::int64_t bytes, std::uint8_t detail = 0) {
    blocks_[address] = bytes;
    live_bytes_ += bytes;
    return add({.address = address,
                .bytes = bytes,
                .node = node_,
                .layer = layer(),
                .kind = RecordKind::allocate,
                .detail = detail});
  }
  TraceBuilder& free(std::uint64_t address) {
    const std::int64_t bytes = blocks_[address];
    live_bytes_ -= bytes;
    blocks_.erase(address);
    return add({.address = address,
                .bytes = bytes,
                .node = node_,
                .layer = layer(),
                .kind = RecordKind::free});
  }
  TraceBuilder& tag(std::uint64_t address, Category category, LayerId layer = kNoLayer) {
    return add({.address = address,
                .layer = layer,
                .kind = RecordKind::tag,
                .detail = static_cast<std::uint8_t>(category)});
  }
  TraceBuilder& save(std::uint64_t number, std::uint64_t address, std::int64_t bytes,
                     SaveLabel label = SaveLabel::value) {
    return add({.address = address,
                .bytes = bytes,
                .node = number,
                .layer = layer(),
                .kind = RecordKind::save,
                .detail = static_cast<std::uint8_t>(label)});
  }
  TraceBuilder& release(std::uint64_t number, std::uint64_t address = 0) {
    return add({.address = address, .node = number, .kind = RecordKind::release});
  }
  TraceBuilder& enter(LayerId layer, std::uint64_t next_node = 0) {
    scopes_[thread_].push_back(layer);
    return add({.node = next_node, .layer = layer, .kind = RecordKind::layer_enter});
  }
  TraceBuilder& leave(std::uint64_t next_node = 0) {
    const LayerId left = layer();
    if (!scopes_[thread_].empty()) scopes_[thread_].pop_back();
    return add({.node = next_node, .layer = left, .kind = RecordKind::layer_leave});
  }
  TraceBuilder& phase(Phase phase) {
    return add({.bytes = live_bytes_,
                .kind = RecordKind::phase,
                .detail = static_cast<std::uint8_t>(phase)});
  }
  // Any record, as it is but for its time and thread.
  TraceBuilder& add(Record record) {
    record.time_ns = trace_.records.size() * 10;
    record.thread = thread_;
    trace_.records.push_back(record);
    return *this;
  }

  std::int64_t live_bytes() const { return live_bytes_; }
  const std::map<std::uint64_t, std::int64_t>& blocks() const { return blocks_; }
  LayerId layer() {
    const std::vector<LayerId>& open = scopes_[thread_];
    return open.empty() ? kNoLayer : open.back();
  }
  std::size_t open_scopes() { return scopes_[thread_].size(); }

  Trace trace() const {
    Trace result = trace_;
    result.live_at_end_bytes = live_bytes_;
    return result;
  }

 private:
  Trace trace_;
  std::map<std::uint64_t, std::int64_t> blocks_;
  std::map<std::uint16_t, std::vector<LayerId>> scopes_;
  std::uint16_t thread_ = 0;
  std::uint64_t node_ = kNoNode;
  std::int64_t live_bytes_ = 0;
};

inline std::int64_t bytes_of(const CategoryBytes& categories, Category category) {
  return categories[static_cast<std::size_t>(category)];
}

inline LayerMemory layer_named(const MemoryProfile& profile, std::string_view name) {
  for (const LayerMemory& layer : profile.layers) {
    if (layer.name == name) return layer;
  }
  return {};
}

}  // namespace sbp::profiler
