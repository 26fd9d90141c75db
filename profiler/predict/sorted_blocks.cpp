#include "profiler/predict/sorted_blocks.h"

#include <utility>

namespace sbp::predict {
namespace {

constexpr std::size_t kCapacity = 64;

// How many of sorted `entries` are before `key`.
std::size_t count_before(const std::vector<FreeBlock>& entries, const FreeBlock& key) {
  const FreeBlock* first = entries.data();
  std::size_t count = entries.size();
  while (count > 0) {
    const std::size_t half = count / 2;
    const bool right = first[half].before(key);
    first += right ? half + 1 : 0;
    count = right ? count - half - 1 : half;
  }
  return static_cast<std::size_t>(first - entries.data());
}

std::ptrdiff_t offset(std::size_t index) {
  return static_cast<std::ptrdiff_t>(index);
}

}  // namespace

SortedBlocks::Place SortedBlocks::place_of(const FreeBlock& key) const {
  std::size_t chunk = 0;
  if (chunks_.size() != 1) {
    chunk = count_before(lasts_, key);
    if (chunk == chunks_.size()) return end();
  }
  const Place place{chunk, count_before(chunks_[chunk], key)};
  return place.entry == chunks_[chunk].size() ? end() : place;
}

void SortedBlocks::insert(const FreeBlock& entry) {
  if (chunks_.empty()) {
    chunks_.emplace_back();
    lasts_.push_back(entry);
  }
  Place place = place_of(entry);
  if (place == end()) place = {chunks_.size() - 1, chunks_.back().size()};
  Chunk& chunk = chunks_[place.chunk];
  chunk.insert(chunk.begin() + offset(place.entry), entry);
  lasts_[place.chunk] = chunk.back();
  ++size_;
  if (chunk.size() > kCapacity) halve(place.chunk);
}

void SortedBlocks::erase_at(Place place) {
  Chunk& chunk = chunks_[place.chunk];
  chunk.erase(chunk.begin() + offset(place.entry));
  --size_;
  if (chunks_.size() == 1) return;
  if (chunk.empty()) return remove(place.chunk);
  lasts_[place.chunk] = chunk.back();
  if (place.chunk + 1 < chunks_.size()) join(place.chunk);
  if (place.chunk > 0) join(place.chunk - 1);
}

SortedBlocks::Place SortedBlocks::next(Place place) const {
  if (++place.entry == chunks_[place.chunk].size()) place = {place.chunk + 1, 0};
  return place;
}

void SortedBlocks::halve(std::size_t chunk) {
  Chunk& lower = chunks_[chunk];
  Chunk upper(lower.begin() + offset(kCapacity / 2), lower.end());
  lower.resize(kCapacity / 2);
  lasts_.insert(lasts_.begin() + offset(chunk), lower.back());
  chunks_.insert(chunks_.begin() + offset(chunk) + 1, std::move(upper));
}

void SortedBlocks::join(std::size_t lower) {
  Chunk& one = chunks_[lower];
  const Chunk& other = chunks_[lower + 1];
  if (one.size() + other.size() > kCapacity / 2) return;
  one.insert(one.end(), other.begin(), other.end());
  remove(lower + 1);
  lasts_[lower] = chunks_[lower].back();
}

void SortedBlocks::remove(std::size_t chunk) {
  chunks_.erase(chunks_.begin() + offset(chunk));
  lasts_.erase(lasts_.begin() + offset(chunk));
}

}  // namespace sbp::predict
