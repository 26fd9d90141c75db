// The free blocks of one stream in one pool, by size and then by address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "profiler/predict/sorted_blocks.h"

namespace sbp::predict {

// Sets of blocks of nearly one size, found by arithmetic; a bit says which of them have any. So
// only blocks of nearly one size are searched.
class FreeBlocks {
 public:
  // Where an entry is; ends with the next change of the set.
  struct Place {
    std::size_t bin = 0;
    SortedBlocks::Place in_bin;
    bool operator==(const Place&) const = default;
  };

  void insert(const FreeBlock& entry);
  // `entry` must be there.
  void erase(const FreeBlock& entry);
  void erase_at(Place place);

  // The smallest of at least `bytes`, of those the lowest address; end() where there is none.
  Place first_of_at_least(std::int64_t bytes) const;
  Place end() const { return {kBins, {}}; }
  Place next(Place place) const;
  const FreeBlock& operator[](Place place) const { return bin(place.bin)[place.in_bin]; }
  // The one that nothing comes after; none where the set is empty.
  const FreeBlock* largest() const;

 private:
  // Sizes that share their power of two fall in 64 bins, so a bin spans less than 1/64 of its size.
  static constexpr std::size_t kBinsInGroup = 64;
  static constexpr std::size_t kGroups = 48;  // up to 2^60 bytes
  static constexpr std::size_t kBins = kBinsInGroup * kGroups;
  using Group = std::array<SortedBlocks, kBinsInGroup>;

  static std::size_t bin_of(std::int64_t bytes);
  SortedBlocks& bin(std::size_t index) const {
    return (*groups_[index / kBinsInGroup])[index % kBinsInGroup];
  }
  // The first bin from `index` on that is not empty; kBins where there is none.
  std::size_t used_from(std::size_t index) const;
  void mark_empty(std::size_t index);

  std::array<std::unique_ptr<Group>, kGroups> groups_;  // made when first used
  std::array<std::uint64_t, kGroups> used_{};           // a bit a bin
  std::uint64_t used_groups_ = 0;                       // a bit a group
};

}  // namespace sbp::predict
