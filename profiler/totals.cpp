#include "profiler/totals.h"

namespace sbp::profiler {

Totals Recount::after(std::uint32_t index) {
  std::erase_if(live_, [&](std::uint32_t block) { return blocks_[block].death <= index; });
  for (; next_block_ < blocks_.size() && blocks_[next_block_].birth <= index; ++next_block_) {
    if (blocks_[next_block_].death > index) live_.push_back(next_block_);
  }
  Totals totals(layer_count_);
  for (const std::uint32_t block : live_) totals.add(owners_[block], blocks_[block].bytes);
  return totals;
}

}  // namespace sbp::profiler
