#include "profiler/cuda/block_tiling.h"

#include <algorithm>
#include <iterator>

namespace sbp::profiler {
namespace {

constexpr std::int64_t kLeastBlock = 512;
constexpr std::int64_t kSmallRequest = std::int64_t{1} << 20;
constexpr std::int64_t kSmallSegment = std::int64_t{2} << 20;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 56;  // larger sizes are damage

using State = AllocatorBlock::State;

std::int64_t rounded(std::int64_t bytes) {
  return std::max(kLeastBlock, (bytes + kLeastBlock - 1) / kLeastBlock * kLeastBlock);
}

bool is_sound(std::uint64_t address, std::int64_t bytes) {
  return bytes > 0 && bytes <= kMostBytes &&
         address <= ~std::uint64_t{0} - static_cast<std::uint64_t>(bytes);
}

PoolKind pool_of(bool is_small) {
  return is_small ? PoolKind::small : PoolKind::large;
}

std::uint64_t end_of(std::uint64_t address, std::int64_t bytes) {
  return address + static_cast<std::uint64_t>(bytes);
}

}  // namespace

BlockTiling::BlockTiling(const AllocatorTrace& trace, Problems& problems, BlockLogger* log)
    : trace_(trace), problems_(problems), log_(log) {
  for (const AllocatorSegment& segment : trace.segments) add_segment(segment);
}

void BlockTiling::count(const Tile& tile, std::int64_t sign) {
  bytes_.reserved += sign * tile.bytes;
  switch (tile.state) {
    case State::free: bytes_.cached += sign * tile.bytes; break;
    case State::awaiting: bytes_.awaiting += sign * tile.bytes; break;
    case State::allocated:
      bytes_.requested += sign * tile.requested_bytes;
      bytes_.rounding += sign * (tile.bytes - tile.requested_bytes);
      break;
  }
}

bool BlockTiling::overlaps(std::uint64_t address, std::int64_t bytes) const {
  auto after = tiles_.lower_bound(address);
  if (after != tiles_.end() && after->first < end_of(address, bytes)) return true;
  if (after == tiles_.begin()) return false;
  --after;
  return end_of(after->first, after->second.bytes) > address;
}

void BlockTiling::add_segment(const AllocatorSegment& segment) {
  std::int64_t sum = 0;
  bool sound = is_sound(segment.address, segment.bytes);
  for (const AllocatorBlock& block : segment.blocks) {
    sound = sound && block.bytes > 0 && block.bytes <= segment.bytes - sum &&
            block.requested_bytes >= 0 && block.requested_bytes <= block.bytes;
    if (sound) sum += block.bytes;
  }
  if (!sound || sum != segment.bytes || overlaps(segment.address, segment.bytes)) {
    problems_.note(-1, "the blocks of the segment at ", hex(segment.address), " do not tile its ",
                   segment.bytes, " bytes");
    return;
  }
  std::uint64_t address = segment.address;
  for (const AllocatorBlock& block : segment.blocks) {
    const Tile tile{.bytes = block.bytes,
                    .requested_bytes = block.requested_bytes,
                    .state = block.state,
                    .segment = segment.address,
                    .is_small = segment.is_small,
                    .is_expandable = segment.is_expandable};
    tiles_.emplace(address, tile);
    count(tile, 1);
    address = end_of(address, block.bytes);
  }
  if (log_ != nullptr) log_segment(segment);
}

void BlockTiling::log_segment(const AllocatorSegment& segment) {
  constexpr std::int64_t kBefore = -1;
  log_->changed(kBefore, segment.is_expandable ? SegmentChange::mapped : SegmentChange::allocated,
                pool_of(segment.is_small), {segment.address, segment.bytes});
  std::uint64_t address = segment.address;
  for (const AllocatorBlock& block : segment.blocks) {
    if (block.state != State::free) {
      log_->born(kBefore, {address, block.bytes}, block.requested_bytes);
    }
    if (block.state == State::awaiting) log_->free_requested(kBefore, address);
    address = end_of(address, block.bytes);
  }
}

void BlockTiling::replay(std::int64_t index) {
  const AllocatorEvent& event = trace_.events[static_cast<std::size_t>(index)];
  switch (event.action) {
    case AllocatorAction::allocate: return allocate(index, event);
    case AllocatorAction::free_requested: return request_free(index, event);
    case AllocatorAction::free_completed: return complete_free(index, event);
    case AllocatorAction::segment_alloc: return add_memory(index, event, false);
    case AllocatorAction::segment_map: return add_memory(index, event, true);
    case AllocatorAction::segment_free:
    case AllocatorAction::segment_unmap: return remove_memory(index, event);
    case AllocatorAction::out_of_memory: return;
  }
  problems_.note(index, "an event of the allocator is of unknown kind");
}

bool BlockTiling::should_split(const Tile& tile, std::int64_t bytes) const {
  const std::int64_t left = tile.bytes - bytes;
  if (tile.is_small || tile.is_expandable) return left >= kLeastBlock;
  const bool may = trace_.max_split_bytes < 0 || bytes < trace_.max_split_bytes;
  return may && left > kSmallRequest;
}

BlockTiling::Tiles::iterator BlockTiling::with_state(std::int64_t index, std::uint64_t address,
                                                     State state, const char* what) {
  const auto tile = tiles_.find(address);
  if (tile != tiles_.end() && tile->second.state == state) return tile;
  problems_.note(index, "the allocator ", what, " at ", hex(address),
                 ", where its blocks have none such");
  return tiles_.end();
}

// Rounded by powers, the block before may be larger than its request shows: then what lies between
// is no tile of its own here, and a block begins inside a free one. What is cut off counts as free.
void BlockTiling::cut_free_at(std::uint64_t address) {
  auto tile = tiles_.upper_bound(address);
  if (tile == tiles_.begin()) return;
  --tile;
  const std::uint64_t end = end_of(tile->first, tile->second.bytes);
  if (tile->second.state != State::free || tile->first == address || end <= address) return;
  Tile rest = tile->second;
  rest.bytes = static_cast<std::int64_t>(end - address);
  tile->second.bytes -= rest.bytes;
  tiles_.emplace_hint(std::next(tile), address, rest);
}

void BlockTiling::allocate(std::int64_t index, const AllocatorEvent& event) {
  if (trace_.rounds_by_powers) cut_free_at(event.address);
  const auto tile = with_state(index, event.address, State::free, "gave out a free block");
  if (tile == tiles_.end()) return;
  if (event.bytes < 0 || event.bytes > tile->second.bytes ||
      rounded(event.bytes) > tile->second.bytes) {
    problems_.note(index, "the allocator gave ", event.bytes, " bytes at ", hex(event.address),
                   ", where ", tile->second.bytes, " were free");
    return;
  }
  const std::int64_t bytes = rounded(event.bytes);
  count(tile->second, -1);
  if (should_split(tile->second, bytes)) {
    Tile rest = tile->second;
    rest.bytes -= bytes;
    tile->second.bytes = bytes;
    tiles_.emplace_hint(std::next(tile), end_of(event.address, bytes), rest);
    count(rest, 1);
  }
  tile->second.state = State::allocated;
  tile->second.requested_bytes = event.bytes;
  count(tile->second, 1);
  if (log_ != nullptr) log_->born(index, {event.address, tile->second.bytes}, event.bytes);
}

void BlockTiling::request_free(std::int64_t index, const AllocatorEvent& event) {
  const auto tile = with_state(index, event.address, State::allocated, "was asked to free a block");
  if (tile == tiles_.end()) return;
  count(tile->second, -1);
  tile->second.state = State::awaiting;
  count(tile->second, 1);
  if (log_ != nullptr) log_->free_requested(index, event.address);
}

void BlockTiling::complete_free(std::int64_t index, const AllocatorEvent& event) {
  const auto tile = with_state(index, event.address, State::awaiting, "freed a block");
  if (tile == tiles_.end()) return;
  count(tile->second, -1);
  tile->second.state = State::free;
  tile->second.requested_bytes = 0;
  count(tile->second, 1);
  if (log_ != nullptr) log_->died(index, event.address);
  merge_free(tile);
}

// With its free neighbours of the same segment. Sums do not change.
void BlockTiling::merge_free(Tiles::iterator tile) {
  const auto joins = [&](Tiles::iterator first, Tiles::iterator second) {
    return first->second.state == State::free && second->second.state == State::free &&
           first->second.segment == second->second.segment &&
           end_of(first->first, first->second.bytes) == second->first;
  };
  if (const auto next = std::next(tile); next != tiles_.end() && joins(tile, next)) {
    tile->second.bytes += next->second.bytes;
    tiles_.erase(next);
  }
  if (tile == tiles_.begin()) return;
  if (const auto before = std::prev(tile); joins(before, tile)) {
    before->second.bytes += tile->second.bytes;
    tiles_.erase(tile);
  }
}

void BlockTiling::add_memory(std::int64_t index, const AllocatorEvent& event, bool is_expandable) {
  if (!is_sound(event.address, event.bytes) || overlaps(event.address, event.bytes)) {
    problems_.note(index, "the allocator took ", event.bytes, " bytes at ", hex(event.address),
                   ", where it has memory already or nothing can be");
    return;
  }
  Tile tile{.bytes = event.bytes,
            .segment = event.address,
            .is_small = event.bytes == kSmallSegment,
            .is_expandable = is_expandable};
  // What is mapped next to mapped memory belongs to its segment.
  const auto after = tiles_.lower_bound(event.address);
  if (is_expandable && after != tiles_.end() && after->second.is_expandable &&
      end_of(event.address, event.bytes) == after->first) {
    tile.is_small = after->second.is_small;
  }
  if (is_expandable && after != tiles_.begin()) {
    const auto before = std::prev(after);
    if (before->second.is_expandable &&
        end_of(before->first, before->second.bytes) == event.address) {
      tile.segment = before->second.segment;
      tile.is_small = before->second.is_small;
    }
  }
  const auto place = tiles_.emplace_hint(after, event.address, tile);
  count(tile, 1);
  if (log_ != nullptr) {
    log_->changed(index, is_expandable ? SegmentChange::mapped : SegmentChange::allocated,
                  pool_of(tile.is_small), {event.address, event.bytes});
  }
  if (!is_expandable) return;
  for (auto next = std::next(place);
       next != tiles_.end() && next->second.is_expandable &&
       end_of(std::prev(next)->first, std::prev(next)->second.bytes) == next->first;
       ++next) {
    next->second.segment = tile.segment;
  }
  merge_free(place);
}

bool BlockTiling::is_whole_segment(Tiles::iterator tile, const AllocatorEvent& event) const {
  const auto next = std::next(tile);
  return tile->first == event.address && tile->second.bytes == event.bytes &&
         tile->second.segment == event.address &&
         (next == tiles_.end() || next->second.segment != event.address);
}

void BlockTiling::remove_memory(std::int64_t index, const AllocatorEvent& event) {
  auto tile = tiles_.upper_bound(event.address);
  const bool none = tile == tiles_.begin();
  if (!none) --tile;
  const bool expects_mapped = event.action == AllocatorAction::segment_unmap;
  if (none || !is_sound(event.address, event.bytes) || tile->second.state != State::free ||
      tile->second.is_expandable != expects_mapped ||
      end_of(tile->first, tile->second.bytes) < end_of(event.address, event.bytes) ||
      (!expects_mapped && !is_whole_segment(tile, event))) {
    problems_.note(index, "the allocator gave back ", event.bytes, " bytes at ", hex(event.address),
                   ", which are no free block of it");
    return;
  }
  const Tile whole = tile->second;
  const std::uint64_t start = tile->first;
  count(whole, -1);
  tiles_.erase(tile);
  // Of expandable segments a part may go.
  const auto keep = [&](std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    Tile part = whole;
    part.bytes = static_cast<std::int64_t>(to - from);
    tiles_.emplace(from, part);
    count(part, 1);
  };
  keep(start, event.address);
  keep(end_of(event.address, event.bytes), end_of(start, whole.bytes));
  if (log_ != nullptr) {
    log_->changed(index, whole.is_expandable ? SegmentChange::unmapped : SegmentChange::freed,
                  pool_of(whole.is_small), {event.address, event.bytes});
  }
}

}  // namespace sbp::profiler
