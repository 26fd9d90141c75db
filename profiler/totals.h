// Live bytes along every dimension, and the recount that checks them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "profiler/memory_profile.h"
#include "profiler/ownership.h"

namespace sbp::profiler {

struct Totals {
  std::int64_t live_bytes = 0;
  CategoryBytes categories{};
  std::array<std::int64_t, kPhaseCount> phases{};  // of birth
  std::vector<std::int64_t> layers;                // index: LayerId + 1; 0: outside every layer

  explicit Totals(std::size_t layer_count) : layers(layer_count + 1) {}

  // Negative bytes: the block went.
  void add(const Owner& owner, std::int64_t bytes) noexcept {
    live_bytes += bytes;
    categories[static_cast<std::size_t>(owner.category)] += bytes;
    phases[static_cast<std::size_t>(owner.phase)] += bytes;
    layers[static_cast<std::size_t>(owner.layer + 1)] += bytes;
  }

  bool operator==(const Totals&) const = default;
};

// Sums the live set from the blocks' lifetimes, without running totals. Keeps the blocks that
// were live at the last recount, so that all recounts of a trace together stay linear.
class Recount {
 public:
  // Both spans must outlive the recount.
  Recount(std::span<const Block> blocks, std::span<const Owner> owners, std::size_t layer_count)
      : blocks_(blocks), owners_(owners), layer_count_(layer_count) {}

  // What lives after record `index`. REQUIRES an index not below the last call's.
  Totals after(std::uint32_t index);

 private:
  std::span<const Block> blocks_;
  std::span<const Owner> owners_;
  std::size_t layer_count_;
  std::vector<std::uint32_t> live_;  // block numbers
  std::uint32_t next_block_ = 0;     // the first not yet looked at
};

}  // namespace sbp::profiler
