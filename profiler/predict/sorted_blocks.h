// Free blocks by size and then by address: a flat ordered set.
#pragma once

#include <cstddef>
#include <cstdint>
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

// Sorted chunks of neighbours, and where there are several a directory of their last entries.
class SortedBlocks {
 public:
  // Where an entry is; ends with the next change of the set.
  struct Place {
    std::size_t chunk = 0;
    std::size_t entry = 0;
    bool operator==(const Place&) const = default;
  };

  bool empty() const { return size_ == 0; }
  void insert(const FreeBlock& entry);
  // `entry` must be there.
  void erase(const FreeBlock& entry) { erase_at(place_of(entry)); }
  void erase_at(Place place);

  // The smallest of at least `bytes`, of those the lowest address; end() where there is none.
  Place first_of_at_least(std::int64_t bytes) const { return place_of({.bytes = bytes}); }
  Place end() const { return {chunks_.size(), 0}; }
  Place next(Place place) const;
  const FreeBlock& operator[](Place place) const { return chunks_[place.chunk][place.entry]; }
  // Of a set that is not empty.
  const FreeBlock& largest() const { return chunks_.back().back(); }

 private:
  using Chunk = std::vector<FreeBlock>;  // not empty, unless it is the only one

  // The first entry that is not before `key`.
  Place place_of(const FreeBlock& key) const;
  void halve(std::size_t chunk);
  // Puts chunk `lower` and the next into one where both are rather empty.
  void join(std::size_t lower);
  void remove(std::size_t chunk);

  std::vector<Chunk> chunks_;
  std::vector<FreeBlock> lasts_;  // of each chunk, close together for the search
  std::size_t size_ = 0;
};

}  // namespace sbp::predict
