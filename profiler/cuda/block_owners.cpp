#include "profiler/cuda/block_owners.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace sbp::profiler {

void add_owners(const BlockLives& lives, AllocatorLog& log) {
  struct Address {
    std::vector<const BlockLife*> lives;
    std::vector<AllocatorLog::Block*> blocks;
  };
  std::unordered_map<std::uint64_t, Address> addresses;
  for (const BlockLife& life : lives.lives) addresses[life.address].lives.push_back(&life);
  for (AllocatorLog::Block& block : log.blocks) {
    // Those whose tensor was gone when the trace began are in no books of tensors.
    const std::int64_t gone = block.free_requested_event;
    if (gone >= 0 && gone < log.older_events) continue;
    addresses[static_cast<std::uint64_t>(block.address)].blocks.push_back(&block);
  }
  for (auto& [address, both] : addresses) {
    const bool are_same = std::ranges::equal(
        both.lives, both.blocks, {}, [](const BlockLife* life) { return life->bytes; },
        [](const AllocatorLog::Block* block) { return block->requested_bytes; });
    if (!are_same) continue;
    for (std::size_t i = 0; i < both.lives.size(); ++i) {
      both.blocks[i]->category = both.lives[i]->category;
      both.blocks[i]->layer = both.lives[i]->layer;
      both.blocks[i]->saved = both.lives[i]->saved;
    }
  }
}

}  // namespace sbp::profiler
