#include "profiler/predict/cache_release.h"

#include <algorithm>
#include <vector>

namespace sbp::predict {
namespace {

// In the order in which PyTorch walks its free blocks; only the log of segments shows it.
void release_each(Heap& heap, std::vector<BlockId> whole, const BlockPool& pool) {
  std::ranges::sort(whole, [&](BlockId one, BlockId other) {
    const Block& a = heap.blocks[one];
    const Block& b = heap.blocks[other];
    if (a.stream != b.stream) return pool.stream_of(a.stream) < pool.stream_of(b.stream);
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.address < b.address;
  });
  for (const BlockId id : whole) heap.release_segment(id);
}

void release_whole(Heap& heap, const BlockPool& pool) {
  std::vector<BlockId> whole;
  for (BlockId id = pool.oldest_whole(); id != kNoBlock; id = heap.blocks[id].younger) {
    whole.push_back(id);
  }
  release_each(heap, std::move(whole), pool);
}

}  // namespace

void collect(Heap& heap) {
  const auto threshold_bytes = static_cast<std::int64_t>(
      heap.options.garbage_collection_threshold * static_cast<double>(*heap.options.limit_bytes));
  BlockPool& pool = heap.large_pool;
  while (heap.reserved_bytes() > threshold_bytes && pool.whole_count() > 0) {
    const double average_age =
        static_cast<double>(pool.total_age()) / static_cast<double>(pool.whole_count());
    // The list is in the order of age, and its first is never below the average.
    std::vector<BlockId> old;
    for (BlockId id = pool.oldest_whole();
         id != kNoBlock && static_cast<double>(pool.age(id)) >= average_age;
         id = heap.blocks[id].younger) {
      old.push_back(id);
    }
    release_each(heap, std::move(old), pool);
  }
}

bool release_oversize(Heap& heap, PoolKind kind, std::uint32_t stream, std::int64_t bytes) {
  const std::int64_t max_split = *heap.options.max_split_bytes;
  const std::int64_t wanted = std::max(bytes, max_split);
  const FreeBlocks& free = heap.pool(kind).free_of(stream);
  const FreeBlocks::Place enough = free.first_of_at_least(wanted);
  if (enough != free.end()) {
    heap.release_segment(free[enough].block);
    return true;
  }
  std::int64_t released = 0;
  while (released < wanted) {
    const FreeBlock* const largest = free.largest();
    if (largest == nullptr || largest->bytes < max_split) break;
    released += largest->bytes;
    heap.release_segment(largest->block);
  }
  return released >= wanted;
}

void release_all(Heap& heap, ExpandableSegments& expandable) {
  for (const PoolKind kind : {PoolKind::large, PoolKind::small}) {
    if (heap.options.expandable_segments) {
      expandable.release_free(kind);
    } else {
      release_whole(heap, heap.pool(kind));
    }
  }
}

}  // namespace sbp::predict
