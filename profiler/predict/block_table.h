// The blocks of all segments, by number.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "profiler/predict/allocator_statistics.h"
#include "sbp/base/error.h"

namespace sbp::predict {

// Index into a BlockTable.
using BlockId = std::uint32_t;
inline constexpr BlockId kNoBlock = ~BlockId{0};

enum class BlockState : std::uint8_t {
  unused,     // a row of the table without a block
  allocated,  // a caller holds it
  waiting,    // given back, until the other streams that used it are done
  free,
  unmapped,  // addresses of an expandable segment without memory behind them
};

// One line of cache.
struct alignas(64) Block {
  std::uint64_t address = 0;
  std::int64_t bytes = 0;
  std::int64_t requested_bytes = 0;    // allocated or waiting
  std::int64_t searches_at_entry = 0;  // free: searches of the pool when it came in
  BlockId previous = kNoBlock;         // the neighbours in the segment
  BlockId next = kNoBlock;
  BlockId older = kNoBlock;  // free and a whole segment: the others of the pool, by entry
  BlockId younger = kNoBlock;
  std::uint32_t segment = 0;     // index into the segments of a Heap
  std::uint32_t stream = 0;      // index into the streams of its pool
  std::uint32_t generation = 0;  // how many callers have held a block of this row
  PoolKind pool = PoolKind::small;
  BlockState state = BlockState::unused;
  bool used_elsewhere = false;  // by another stream than its own

  bool is_split() const { return previous != kNoBlock || next != kNoBlock; }
};
static_assert(sizeof(Block) == 64);

class BlockTable {
 public:
  Block& operator[](BlockId id) { return blocks_[id]; }
  const Block& operator[](BlockId id) const { return blocks_[id]; }
  // Rows, those without a block included.
  BlockId size() const { return static_cast<BlockId>(blocks_.size()); }

  // A row for a block; references to others end. Throws Error when there are four thousand million.
  BlockId add() {
    if (!unused_.empty()) {
      const BlockId id = unused_.back();
      unused_.pop_back();
      return id;
    }
    if (blocks_.size() == kNoBlock) {
      throw Error(
          "cannot simulate the allocator further: it holds 4294967295 blocks; replay a "
          "shorter trace, or one that frees what it allocates");
    }
    blocks_.emplace_back();
    return static_cast<BlockId>(blocks_.size() - 1);
  }

  void remove(BlockId id) {
    blocks_[id] = Block{.generation = blocks_[id].generation};
    unused_.push_back(id);
  }

 private:
  std::vector<Block> blocks_;
  std::vector<BlockId> unused_;
};

}  // namespace sbp::predict
