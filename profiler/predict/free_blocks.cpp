#include "profiler/predict/free_blocks.h"

#include <algorithm>
#include <utility>

namespace sbp::predict {
namespace {

bool is_before(const FreeBlock& one, const FreeBlock& other) {
  return one.before(other);
}

}  // namespace

FreeBlocks::Place FreeBlocks::place_of(const FreeBlock& key) const {
  const auto chunk = std::ranges::lower_bound(
      chunks_, key, is_before, [](const Chunk& some) -> const FreeBlock& { return some.last; });
  if (chunk == chunks_.end()) return end();
  const FreeBlock* const entry = std::lower_bound(chunk->begin(), chunk->end(), key, is_before);
  return {static_cast<std::size_t>(chunk - chunks_.begin()),
          static_cast<std::size_t>(entry - chunk->begin())};
}

void FreeBlocks::insert(const FreeBlock& entry) {
  if (chunks_.empty()) chunks_.push_back({entry, 0, std::make_unique<Entries>()});
  Place place = place_of(entry);
  if (place.chunk == chunks_.size()) place = {chunks_.size() - 1, chunks_.back().count};
  if (chunks_[place.chunk].count == kCapacity) {
    halve(place.chunk);
    const std::size_t lower_count = chunks_[place.chunk].count;
    if (place.entry > lower_count) place = {place.chunk + 1, place.entry - lower_count};
  }
  Chunk& chunk = chunks_[place.chunk];
  FreeBlock* const at = chunk.begin() + place.entry;
  std::move_backward(at, chunk.end(), chunk.end() + 1);
  *at = entry;
  ++chunk.count;
  chunk.last = chunk.end()[-1];
}

void FreeBlocks::erase(const FreeBlock& entry) {
  const Place place = place_of(entry);
  Chunk& chunk = chunks_[place.chunk];
  FreeBlock* const at = chunk.begin() + place.entry;
  std::move(at + 1, chunk.end(), at);
  if (--chunk.count == 0) {
    chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(place.chunk));
    return;
  }
  chunk.last = chunk.end()[-1];
  if (place.chunk + 1 < chunks_.size()) join(place.chunk);
  if (place.chunk > 0) join(place.chunk - 1);
}

FreeBlocks::Place FreeBlocks::next(Place place) const {
  if (++place.entry == chunks_[place.chunk].count) place = {place.chunk + 1, 0};
  return place;
}

FreeBlocks::Place FreeBlocks::previous(Place place) const {
  if (place.entry > 0) return {place.chunk, place.entry - 1};
  return {place.chunk - 1, chunks_[place.chunk - 1].count - 1};
}

void FreeBlocks::halve(std::size_t chunk) {
  Chunk upper{chunks_[chunk].last, kCapacity / 2, std::make_unique<Entries>()};
  Chunk& lower = chunks_[chunk];
  lower.count = kCapacity - upper.count;
  std::move(lower.end(), lower.end() + upper.count, upper.begin());
  lower.last = lower.end()[-1];
  chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk) + 1, std::move(upper));
}

void FreeBlocks::join(std::size_t lower) {
  Chunk& one = chunks_[lower];
  const Chunk& other = chunks_[lower + 1];
  if (one.count + other.count > kCapacity / 2) return;
  std::move(other.begin(), other.end(), one.end());
  one.count += other.count;
  one.last = other.last;
  chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(lower) + 1);
}

}  // namespace sbp::predict
