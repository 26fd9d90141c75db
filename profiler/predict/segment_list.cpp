#include "profiler/predict/segment_list.h"

#include <algorithm>

namespace sbp::predict {
namespace {

bool is_mapped(const Block& block) {
  return block.state != BlockState::unused && block.state != BlockState::unmapped;
}

bool is_first(const BlockTable& blocks, const Block& block) {
  return is_mapped(block) && (block.previous == kNoBlock || !is_mapped(blocks[block.previous]));
}

Segment::Part part_of(const Block& block, BlockId id) {
  Segment::Part part{.address = block.address, .bytes = block.bytes};
  if (block.state == BlockState::free) return part;
  part.requested_bytes = block.requested_bytes;
  part.state = Segment::State::waiting;
  if (block.state == BlockState::allocated) {
    part.state = Segment::State::allocated;
    part.handle = {id, block.generation};
  }
  return part;
}

}  // namespace

std::vector<Segment> list_segments(Heap& heap) {
  const BlockTable& blocks = heap.blocks;
  std::vector<Segment> segments;
  for (BlockId first = 0; first < blocks.size(); ++first) {
    if (!is_first(blocks, blocks[first])) continue;
    Segment segment{.address = blocks[first].address,
                    .stream = heap.pool(blocks[first].pool).stream_of(blocks[first].stream),
                    .pool = blocks[first].pool,
                    .is_expandable = heap.options.expandable_segments};
    for (BlockId id = first; id != kNoBlock && is_mapped(blocks[id]); id = blocks[id].next) {
      segment.parts.push_back(part_of(blocks[id], id));
      segment.bytes += blocks[id].bytes;
    }
    segments.push_back(std::move(segment));
  }
  std::ranges::sort(segments, {}, &Segment::address);
  return segments;
}

}  // namespace sbp::predict
