#include "profiler/predict/heap.h"

namespace sbp::predict {

BlockId Heap::add_range(PoolKind kind, std::uint32_t stream, std::int64_t bytes) {
  const SegmentRange range{addresses_.take(bytes), bytes};
  auto segment = static_cast<std::uint32_t>(segments.size());
  if (unused_segments_.empty()) {
    segments.push_back(range);
  } else {
    segment = unused_segments_.back();
    unused_segments_.pop_back();
    segments[segment] = range;
  }
  const BlockId id = blocks.add();
  Block& block = blocks[id];
  block.address = range.address;
  block.bytes = bytes;
  block.segment = segment;
  block.stream = stream;
  block.pool = kind;
  return id;
}

void Heap::remove_range(BlockId id) {
  const Block& block = blocks[id];
  addresses_.give_back(block.address, block.bytes);
  unused_segments_.push_back(block.segment);
  blocks.remove(id);
}

BlockId Heap::add_segment(PoolKind kind, std::uint32_t stream, std::int64_t bytes) {
  const BlockId id = add_range(kind, stream, bytes);
  statistics.add(&PoolStatistics::reserved, kind, bytes);
  statistics.segments.add(1);
  ++statistics.device_allocs;
  tell(SegmentEvent::Kind::allocated, blocks[id], range_of(blocks[id]));
  return id;
}

void Heap::release_segment(BlockId id) {
  const Block& block = blocks[id];
  statistics.add(&PoolStatistics::reserved, block.pool, -block.bytes);
  statistics.segments.add(-1);
  ++statistics.device_frees;
  tell(SegmentEvent::Kind::freed, block, range_of(block));
  pool(block.pool).erase(id);
  remove_range(id);
}

void Heap::count_mapped(const Block& block, SegmentRange range) {
  statistics.add(&PoolStatistics::reserved, block.pool, range.bytes);
  ++statistics.device_allocs;
  tell(SegmentEvent::Kind::mapped, block, range);
}

void Heap::count_unmapped(const Block& block, SegmentRange range) {
  statistics.add(&PoolStatistics::reserved, block.pool, -range.bytes);
  ++statistics.device_frees;
  tell(SegmentEvent::Kind::unmapped, block, range);
}

BlockId Heap::split(BlockId id, std::int64_t bytes) {
  const BlockId rest_id = blocks.add();
  Block& block = blocks[id];
  Block& rest = blocks[rest_id];
  rest.address = block.address + static_cast<std::uint64_t>(bytes);
  rest.bytes = block.bytes - bytes;
  rest.segment = block.segment;
  rest.stream = block.stream;
  rest.pool = block.pool;
  rest.state = block.state;
  rest.previous = id;
  rest.next = block.next;
  if (rest.next != kNoBlock) blocks[rest.next].previous = rest_id;
  block.bytes = bytes;
  block.next = rest_id;
  return rest_id;
}

std::int64_t Heap::absorb(BlockId id, BlockId neighbour, BlockState alike) {
  if (neighbour == kNoBlock || blocks[neighbour].state != alike) return 0;
  Block& block = blocks[id];
  const Block& other = blocks[neighbour];
  BlockPool& holder = pool(block.pool);
  if (alike == BlockState::free) {
    holder.erase(neighbour);
  } else {
    holder.unmapped_of(other.stream).erase(other.address);
  }
  if (block.previous == neighbour) {
    block.address = other.address;
    block.previous = other.previous;
    if (block.previous != kNoBlock) blocks[block.previous].next = id;
  } else {
    block.next = other.next;
    if (block.next != kNoBlock) blocks[block.next].previous = id;
  }
  const std::int64_t bytes = other.bytes;
  block.bytes += bytes;
  blocks.remove(neighbour);
  return bytes;
}

void Heap::tell(SegmentEvent::Kind kind, const Block& block, SegmentRange range) {
  if (!observer) return;
  observer({.kind = kind,
            .pool = block.pool,
            .stream = pool(block.pool).stream_of(block.stream),
            .address = range.address,
            .bytes = range.bytes});
}

}  // namespace sbp::predict
