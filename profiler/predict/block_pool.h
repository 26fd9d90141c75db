// The free blocks of the small or of the large pool, of all streams.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "profiler/predict/block_table.h"
#include "profiler/predict/free_blocks.h"

namespace sbp::predict {

// Unmapped ranges of a stream, by address.
using UnmappedBlocks = std::map<std::uint64_t, BlockId>;

class BlockPool {
 public:
  // `blocks` outlives the pool.
  BlockPool(PoolKind kind, BlockTable& blocks) : kind_(kind), blocks_(blocks) {}

  PoolKind kind() const { return kind_; }
  // The index of a stream in this pool; a new one where it never allocated here.
  std::uint32_t index_of(int stream);
  int stream_of(std::uint32_t index) const { return streams_[index].stream; }
  std::uint32_t stream_count() const { return static_cast<std::uint32_t>(streams_.size()); }
  const FreeBlocks& free_of(std::uint32_t stream) const { return streams_[stream].free; }
  UnmappedBlocks& unmapped_of(std::uint32_t stream) { return streams_[stream].unmapped; }

  // A block, in its final size and place, becomes free; or is free no longer.
  void insert(BlockId id);
  void erase(BlockId id);
  // The same for the block at `place` in free_of(stream), which it returns.
  BlockId take(std::uint32_t stream, FreeBlocks::Place place);

  // Free blocks that are whole segments, from the one that came first to be free.
  BlockId oldest_whole() const { return oldest_; }
  std::int64_t whole_count() const { return whole_count_; }
  // Searches since `id` became free, and the sum of that over all whole segments.
  void count_search() { ++searches_; }
  std::int64_t age(BlockId id) const { return searches_ - blocks_[id].searches_at_entry; }
  std::int64_t total_age() const { return whole_count_ * searches_ - whole_entries_; }

 private:
  struct StreamBlocks {
    int stream = 0;
    FreeBlocks free = {};
    UnmappedBlocks unmapped = {};
  };

  void append_whole(BlockId id);
  void unlink_whole(BlockId id);

  PoolKind kind_;
  BlockTable& blocks_;
  std::vector<StreamBlocks> streams_;
  std::unordered_map<int, std::uint32_t> indices_;
  std::uint32_t last_index_ = 0;
  BlockId oldest_ = kNoBlock;
  BlockId youngest_ = kNoBlock;
  std::int64_t searches_ = 0;
  std::int64_t whole_count_ = 0;
  std::int64_t whole_entries_ = 0;  // sum of searches_at_entry
};

}  // namespace sbp::predict
