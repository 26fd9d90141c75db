#include "profiler/predict/free_blocks.h"

#include <bit>

#include "profiler/predict/request_size.h"

namespace sbp::predict {
namespace {

constexpr std::uint64_t bit(std::size_t position) {
  return std::uint64_t{1} << position;
}
// The bits from `position` on; of position 64 none.
constexpr std::uint64_t bits_from(std::size_t position) {
  return position < 64 ? ~std::uint64_t{0} << position : 0;
}
std::size_t lowest(std::uint64_t bits) {
  return static_cast<std::size_t>(std::countr_zero(bits));
}
std::size_t highest(std::uint64_t bits) {
  return 63 - static_cast<std::size_t>(std::countl_zero(bits));
}

}  // namespace

void FreeBlocks::insert(const FreeBlock& entry) {
  const std::size_t index = bin_of(entry.bytes);
  const std::size_t group = index / kBinsInGroup;
  if (groups_[group] == nullptr) groups_[group] = std::make_unique<Group>();
  bin(index).insert(entry);
  used_[group] |= bit(index % kBinsInGroup);
  used_groups_ |= bit(group);
}

void FreeBlocks::erase(const FreeBlock& entry) {
  const std::size_t index = bin_of(entry.bytes);
  bin(index).erase(entry);
  if (bin(index).empty()) mark_empty(index);
}

void FreeBlocks::erase_at(Place place) {
  bin(place.bin).erase_at(place.in_bin);
  if (bin(place.bin).empty()) mark_empty(place.bin);
}

FreeBlocks::Place FreeBlocks::first_of_at_least(std::int64_t bytes) const {
  const std::size_t index = bin_of(bytes);
  std::size_t used = used_from(index);
  if (used == index) {
    const SortedBlocks& blocks = bin(index);
    const SortedBlocks::Place place = blocks.first_of_at_least(bytes);
    if (place != blocks.end()) return {index, place};
    used = used_from(index + 1);
  }
  return {used, {}};
}

FreeBlocks::Place FreeBlocks::next(Place place) const {
  place.in_bin = bin(place.bin).next(place.in_bin);
  if (place.in_bin == bin(place.bin).end()) place = {used_from(place.bin + 1), {}};
  return place;
}

const FreeBlock* FreeBlocks::largest() const {
  if (used_groups_ == 0) return nullptr;
  const std::size_t group = highest(used_groups_);
  return &(*groups_[group])[highest(used_[group])].largest();
}

std::size_t FreeBlocks::bin_of(std::int64_t bytes) {
  const auto units = static_cast<std::uint64_t>(bytes / kMinBlockBytes);
  // Up to 127 units a bin each; then 64 bins for each power of two.
  const std::size_t shift = units < 2 * kBinsInGroup ? 0 : highest(units) - 6;
  return shift * kBinsInGroup + static_cast<std::size_t>(units >> shift);
}

std::size_t FreeBlocks::used_from(std::size_t index) const {
  if (index >= kBins) return kBins;
  const std::size_t group = index / kBinsInGroup;
  const std::uint64_t here = used_[group] & bits_from(index % kBinsInGroup);
  if (here != 0) return group * kBinsInGroup + lowest(here);
  const std::uint64_t above = used_groups_ & bits_from(group + 1);
  if (above == 0) return kBins;
  return lowest(above) * kBinsInGroup + lowest(used_[lowest(above)]);
}

void FreeBlocks::mark_empty(std::size_t index) {
  const std::size_t group = index / kBinsInGroup;
  used_[group] &= ~bit(index % kBinsInGroup);
  if (used_[group] == 0) used_groups_ &= ~bit(group);
}

}  // namespace sbp::predict
