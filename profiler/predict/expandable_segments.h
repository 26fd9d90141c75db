// Segments that grow: address ranges as large as the device, backed by memory piece by piece.
#pragma once

#include <cstdint>

#include "profiler/predict/heap.h"

namespace sbp::predict {

// One range a pool and stream, more only where it is too broken up. Memory comes and goes in whole
// units (2 MiB in the small pool, the large segment size in the large one).
class ExpandableSegments {
 public:
  // `heap` outlives it.
  explicit ExpandableSegments(Heap& heap) : heap_(heap) {}

  // Maps what is missing for `bytes` at the lowest address where there is room, and returns the
  // block, in no pool; kNoBlock where no range could ever hold it.
  BlockId grow(PoolKind pool, std::uint32_t stream, std::int64_t bytes);

  // Unmaps the whole units inside free blocks, and forgets ranges that nothing is left of.
  void release_free(PoolKind pool);

  // What a free block would be with the unmapped addresses behind it.
  std::int64_t growable_bytes(const Block& block) const;

 private:
  BlockId find_room(BlockPool& pool, std::uint32_t stream, std::int64_t bytes);
  // Maps units at the start of an unmapped block for `bytes`; joins it with free neighbours.
  void map(BlockId id, std::int64_t bytes);
  void unmap(BlockId id);
  void insert_unmapped(BlockId id);

  Heap& heap_;
};

}  // namespace sbp::predict
