// What the allocator holds, and the moves that every policy of it is made of.
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/predict/address_space.h"
#include "profiler/predict/allocator_options.h"
#include "profiler/predict/allocator_statistics.h"
#include "profiler/predict/block_pool.h"
#include "profiler/predict/block_table.h"
#include "profiler/predict/segment_event.h"

namespace sbp::predict {

// Taken from the device in one call, or the address range of an expandable segment.
struct SegmentRange {
  std::uint64_t address = 0;
  std::int64_t bytes = 0;
};

struct Heap {
  explicit Heap(const AllocatorOptions& heap_options) : options(heap_options) {}
  Heap(const Heap&) = delete;  // the pools refer to `blocks`
  Heap& operator=(const Heap&) = delete;

  BlockPool& pool(PoolKind kind) { return kind == PoolKind::small ? small_pool : large_pool; }
  const SegmentRange& range_of(const Block& block) const { return segments[block.segment]; }
  bool can_reserve(std::int64_t bytes) const {
    return !options.limit_bytes || bytes <= *options.limit_bytes - reserved_bytes();
  }
  std::int64_t reserved_bytes() const { return statistics.total.reserved.current; }

  // A block over new addresses, in no pool yet. Throws Error when the addresses are used up.
  BlockId add_range(PoolKind kind, std::uint32_t stream, std::int64_t bytes);
  // Gives back the addresses of a block that is a whole range, and the block.
  void remove_range(BlockId id);

  // cudaMalloc and cudaFree: a whole segment, in no pool yet, or free.
  BlockId add_segment(PoolKind kind, std::uint32_t stream, std::int64_t bytes);
  void release_segment(BlockId id);
  // Memory behind addresses of expandable segments.
  void count_mapped(const Block& block, SegmentRange range);
  void count_unmapped(const Block& block, SegmentRange range);

  // Cuts a block in no pool: it keeps the first `bytes`, the new block has the rest and its state.
  BlockId split(BlockId id, std::int64_t bytes);
  // Takes `neighbour`, which may be none, into `id`, which is in no pool, if `neighbour` is in
  // state `alike`: free or unmapped. Returns the bytes that it had, else 0.
  std::int64_t absorb(BlockId id, BlockId neighbour, BlockState alike);

  AllocatorOptions options;
  AllocatorStatistics statistics;
  BlockTable blocks;
  std::vector<SegmentRange> segments;
  BlockPool small_pool{PoolKind::small, blocks};
  BlockPool large_pool{PoolKind::large, blocks};
  SegmentObserver observer;

 private:
  void tell(SegmentEvent::Kind kind, const Block& block, SegmentRange range);

  AddressSpace addresses_;
  std::vector<std::uint32_t> unused_segments_;
};

}  // namespace sbp::predict
