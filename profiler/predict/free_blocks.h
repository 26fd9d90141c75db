// The free blocks of one stream in one pool, by size and then by address: a flat ordered set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "profiler/predict/block_table.h"

namespace sbp::predict {

struct FreeBlock {
  std::int64_t bytes = 0;
  std::uint64_t address = 0;
  BlockId block = kNoBlock;

  bool before(const FreeBlock& other) const {
    return bytes != other.bytes ? bytes < other.bytes : address < other.address;
  }
};

// Sorted chunks of neighbours, and a directory of their last entries.
class FreeBlocks {
 public:
  // Where an entry is; ends with the next change of the set.
  struct Place {
    std::size_t chunk = 0;
    std::size_t entry = 0;
    bool operator==(const Place&) const = default;
  };

  bool empty() const { return chunks_.empty(); }
  void insert(const FreeBlock& entry);
  // `entry` must be there.
  void erase(const FreeBlock& entry);

  // The smallest of at least `bytes`, of those the lowest address; end() where there is none.
  Place first_of_at_least(std::int64_t bytes) const { return place_of({.bytes = bytes}); }
  Place begin() const { return {0, 0}; }
  Place end() const { return {chunks_.size(), 0}; }
  Place next(Place place) const;
  // Not of begin().
  Place previous(Place place) const;
  const FreeBlock& operator[](Place place) const {
    return chunks_[place.chunk].entries->at[place.entry];
  }
  // None where the set is empty.
  std::int64_t largest_bytes() const { return empty() ? 0 : chunks_.back().last.bytes; }

 private:
  static constexpr std::size_t kCapacity = 64;
  struct Entries {
    std::array<FreeBlock, kCapacity> at;
  };
  struct Chunk {
    FreeBlock last;
    std::size_t count = 0;  // at least 1
    std::unique_ptr<Entries> entries;

    FreeBlock* begin() const { return entries->at.data(); }
    FreeBlock* end() const { return begin() + count; }
  };

  // The first entry that is not before `key`.
  Place place_of(const FreeBlock& key) const;
  void halve(std::size_t chunk);
  // Puts chunk `lower` and the next into one where both are rather empty.
  void join(std::size_t lower);

  std::vector<Chunk> chunks_;
};

}  // namespace sbp::predict
