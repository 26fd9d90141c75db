#include "profiler/predict/block_pool.h"

#include <algorithm>

namespace sbp::predict {

std::uint32_t BlockPool::index_of(int stream) {
  // Most requests are of the stream of the one before.
  if (last_index_ < streams_.size() && streams_[last_index_].stream == stream) return last_index_;
  const auto [found, added] = indices_.try_emplace(stream, stream_count());
  if (added) streams_.push_back({.stream = stream});
  last_index_ = found->second;
  return last_index_;
}

void BlockPool::insert(BlockId id) {
  Block& block = blocks_[id];
  block.state = BlockState::free;
  block.searches_at_entry = searches_;
  streams_[block.stream].free.insert({block.bytes, block.address, id});
  if (!block.is_split()) append_whole(id);
}

void BlockPool::erase(BlockId id) {
  const Block& block = blocks_[id];
  streams_[block.stream].free.erase({block.bytes, block.address, id});
  if (!block.is_split()) unlink_whole(id);
}

BlockId BlockPool::take(std::uint32_t stream, FreeBlocks::Place place) {
  FreeBlocks& free = streams_[stream].free;
  const BlockId id = free[place].block;
  free.erase_at(place);
  if (!blocks_[id].is_split()) unlink_whole(id);
  return id;
}

void BlockPool::append_whole(BlockId id) {
  Block& block = blocks_[id];
  block.older = youngest_;
  block.younger = kNoBlock;
  (youngest_ == kNoBlock ? oldest_ : blocks_[youngest_].younger) = id;
  youngest_ = id;
  ++whole_count_;
  whole_entries_ += block.searches_at_entry;
}

void BlockPool::unlink_whole(BlockId id) {
  const Block& block = blocks_[id];
  (block.older == kNoBlock ? oldest_ : blocks_[block.older].younger) = block.younger;
  (block.younger == kNoBlock ? youngest_ : blocks_[block.younger].older) = block.older;
  --whole_count_;
  whole_entries_ -= block.searches_at_entry;
}

}  // namespace sbp::predict
