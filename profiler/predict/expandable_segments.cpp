#include "profiler/predict/expandable_segments.h"

#include <algorithm>
#include <vector>

#include "profiler/predict/request_size.h"

namespace sbp::predict {
namespace {

std::int64_t whole_units(std::int64_t bytes, std::int64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Nine eighths of the device, so that what is unmapped low can be mapped again high.
std::int64_t range_bytes(PoolKind pool, const AllocatorOptions& options) {
  return whole_units(options.device_total_bytes + options.device_total_bytes / 8,
                     unit_bytes(pool, options));
}

}  // namespace

BlockId ExpandableSegments::grow(PoolKind pool, std::uint32_t stream, std::int64_t bytes) {
  if (bytes > range_bytes(pool, heap_.options)) return kNoBlock;
  BlockPool& holder = heap_.pool(pool);
  BlockId id = find_room(holder, stream, bytes);
  if (heap_.blocks[id].state == BlockState::unmapped) {
    map(id, std::min(bytes, heap_.blocks[id].bytes));
  }
  // `id` is free, and what follows it unmapped, until it is long enough.
  while (heap_.blocks[id].bytes < bytes) {
    const std::int64_t missing = bytes - heap_.blocks[id].bytes;
    id = heap_.blocks[id].next;
    map(id, std::min(missing, heap_.blocks[id].bytes));
  }
  holder.erase(id);
  return id;
}

BlockId ExpandableSegments::find_room(BlockPool& pool, std::uint32_t stream, std::int64_t bytes) {
  const BlockTable& blocks = heap_.blocks;
  const auto is_open = [&blocks](BlockId id) {
    return id != kNoBlock &&
           (blocks[id].state == BlockState::free || blocks[id].state == BlockState::unmapped);
  };
  UnmappedBlocks& unmapped = pool.unmapped_of(stream);
  for (auto at = unmapped.begin(); at != unmapped.end();) {
    BlockId first = at->second;
    if (is_open(blocks[first].previous)) first = blocks[first].previous;
    std::int64_t room_bytes = 0;
    std::uint64_t end = 0;
    for (BlockId id = first; room_bytes < bytes && is_open(id); id = blocks[id].next) {
      room_bytes += blocks[id].bytes;
      end = blocks[id].address + static_cast<std::uint64_t>(blocks[id].bytes);
    }
    if (room_bytes >= bytes) return first;
    // Whatever begins inside this room has less.
    at = unmapped.lower_bound(end);
  }
  const BlockId id = heap_.add_range(pool.kind(), stream, range_bytes(pool.kind(), heap_.options));
  insert_unmapped(id);
  return id;
}

void ExpandableSegments::map(BlockId id, std::int64_t bytes) {
  const PoolKind kind = heap_.blocks[id].pool;
  const std::int64_t mapped_bytes = whole_units(bytes, unit_bytes(kind, heap_.options));
  const SegmentRange mapped{heap_.blocks[id].address, mapped_bytes};
  heap_.pool(kind).unmapped_of(heap_.blocks[id].stream).erase(mapped.address);
  if (mapped_bytes < heap_.blocks[id].bytes) insert_unmapped(heap_.split(id, mapped_bytes));
  heap_.absorb(id, heap_.blocks[id].previous, BlockState::free);
  heap_.absorb(id, heap_.blocks[id].next, BlockState::free);
  heap_.pool(kind).insert(id);
  heap_.count_mapped(heap_.blocks[id], mapped);
}

void ExpandableSegments::release_free(PoolKind kind) {
  BlockPool& pool = heap_.pool(kind);
  const std::int64_t unit = unit_bytes(kind, heap_.options);
  std::vector<BlockId> with_units;
  for (std::uint32_t stream = 0; stream < pool.stream_count(); ++stream) {
    const FreeBlocks& free = pool.free_of(stream);
    for (auto at = free.first_of_at_least(unit); at != free.end(); at = free.next(at)) {
      with_units.push_back(free[at].block);
    }
  }
  for (const BlockId id : with_units) unmap(id);
}

void ExpandableSegments::unmap(BlockId id) {
  const PoolKind kind = heap_.blocks[id].pool;
  const std::int64_t unit = unit_bytes(kind, heap_.options);
  const std::uint64_t start = heap_.range_of(heap_.blocks[id]).address;
  const auto offset = static_cast<std::int64_t>(heap_.blocks[id].address - start);
  const std::int64_t first = whole_units(offset, unit);
  const std::int64_t last = (offset + heap_.blocks[id].bytes) / unit * unit;
  if (first >= last) return;

  BlockPool& pool = heap_.pool(kind);
  pool.erase(id);
  if (last - offset < heap_.blocks[id].bytes) pool.insert(heap_.split(id, last - offset));
  if (first > offset) {
    const BlockId middle = heap_.split(id, first - offset);
    pool.insert(id);
    id = middle;
  }
  const SegmentRange unmapped{heap_.blocks[id].address, heap_.blocks[id].bytes};
  heap_.absorb(id, heap_.blocks[id].previous, BlockState::unmapped);
  heap_.absorb(id, heap_.blocks[id].next, BlockState::unmapped);
  heap_.count_unmapped(heap_.blocks[id], unmapped);
  if (heap_.blocks[id].is_split()) {
    insert_unmapped(id);
  } else {
    heap_.remove_range(id);
  }
}

void ExpandableSegments::insert_unmapped(BlockId id) {
  Block& block = heap_.blocks[id];
  block.state = BlockState::unmapped;
  heap_.pool(block.pool).unmapped_of(block.stream).emplace(block.address, id);
}

std::int64_t ExpandableSegments::growable_bytes(const Block& block) const {
  if (block.next == kNoBlock) return block.bytes;
  const Block& behind = heap_.blocks[block.next];
  return block.bytes + (behind.state == BlockState::unmapped ? behind.bytes : 0);
}

}  // namespace sbp::predict
