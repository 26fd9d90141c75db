// Where cudaMalloc puts things: the lowest gap that fits, in a space that is endless upward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sbp::predict {

// Addresses are never used, only compared: between free blocks of one size the lower is taken. A
// real device may hand them out in another order.
class AddressSpace {
 public:
  static constexpr std::uint64_t kFirstAddress = 0x7f0000000000;

  // The lowest address with room for `bytes` (at least 1). Throws Error when 4 EiB are used up.
  std::uint64_t take(std::int64_t bytes);
  // Gives back all that one call of take() gave.
  void give_back(std::uint64_t address, std::int64_t bytes);

 private:
  struct Gap {
    std::uint64_t address = 0;
    std::int64_t bytes = 0;
  };
  // Neighbouring gaps, and the largest of them, so that a search skips those that are too small.
  struct Group {
    std::vector<Gap> gaps;
    std::int64_t largest_bytes = 0;
  };
  struct Place {
    std::size_t group = 0;
    std::size_t gap = 0;
  };

  // The first gap at or above `address`; where there is none, one behind the last.
  Place place_of(std::uint64_t address) const;
  void insert(Place place, Gap gap);
  void erase(Place place);
  void measure(std::size_t group);

  std::vector<Group> groups_;  // none is empty
  std::uint64_t end_ = kFirstAddress;
};

}  // namespace sbp::predict
