// What is pushed to CUPTI for a scope: a layer of the forward, or a node of the backward.
#pragma once

#include <cstdint>
#include <optional>

#include "profiler/record.h"

namespace sbp::profiler {

// A node's layer is known only after the run (see Attribution), so its own number is pushed.
//
//   bit 63      a backward node
//   62 .. 47    its thread (Record::thread)
//   46 .. 0     its sequence number, or all ones for one that has none; else layer + 1
inline constexpr std::uint64_t kBackwardScope = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kScopeNodeMask = (std::uint64_t{1} << 47) - 1;

inline std::uint64_t layer_scope_id(LayerId layer) {
  return layer == kNoLayer ? 0 : static_cast<std::uint64_t>(layer) + 1;
}

// `record`: as attributed_record() fills it in.
inline std::uint64_t node_scope_id(const Record& record) {
  const bool has_number = record.node < kScopeNodeMask && (record.detail & kAccumulates) == 0;
  return kBackwardScope | static_cast<std::uint64_t>(record.thread) << 47 |
         (has_number ? record.node : kScopeNodeMask);
}

inline bool is_backward_scope(std::uint64_t id) {
  return (id & kBackwardScope) != 0;
}
// kNoLayer for a backward node, and outside every layer.
inline LayerId layer_of_scope(std::uint64_t id) {
  return is_backward_scope(id) || id == 0 ? kNoLayer : static_cast<LayerId>(id - 1);
}
// kNoNode for a layer, and for a node without a number.
inline std::uint64_t node_of_scope(std::uint64_t id) {
  if (!is_backward_scope(id) || (id & kScopeNodeMask) == kScopeNodeMask) return kNoNode;
  return id & kScopeNodeMask;
}
inline std::uint16_t thread_of_scope(std::uint64_t id) {
  return static_cast<std::uint16_t>(id >> 47 & 0xFFFF);
}

}  // namespace sbp::profiler
