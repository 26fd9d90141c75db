#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "profiler/predict/address_space.h"
#include "profiler/predict/free_blocks.h"

using namespace sbp::predict;

namespace {

using Reference = std::set<std::pair<std::int64_t, std::uint64_t>>;

void check_search(const FreeBlocks& blocks, const Reference& reference, std::int64_t bytes) {
  const auto place = blocks.first_of_at_least(bytes);
  const auto expected = reference.lower_bound({bytes, 0});
  REQUIRE((place == blocks.end()) == (expected == reference.end()));
  if (expected == reference.end()) return;
  REQUIRE(blocks[place].bytes == expected->first);
  REQUIRE(blocks[place].address == expected->second);
}

// `draw` gives sizes; addresses are drawn so that many sizes are equal.
template <typename Draw>
void check_as_a_set(std::mt19937& random, Draw draw) {
  FreeBlocks blocks;
  Reference reference;
  REQUIRE(blocks.largest() == nullptr);
  for (int i = 0; i < 20000; ++i) {
    const std::int64_t bytes = draw();
    if (reference.size() > 3000 || (!reference.empty() && random() % 3 == 0)) {
      auto victim = reference.lower_bound({bytes, random()});
      if (victim == reference.end()) victim = reference.begin();
      blocks.erase({.bytes = victim->first, .address = victim->second});
      reference.erase(victim);
    } else if (const std::uint64_t address = random(); reference.insert({bytes, address}).second) {
      blocks.insert({.bytes = bytes, .address = address, .block = 1});
    }
    check_search(blocks, reference, draw());
    if (!reference.empty()) REQUIRE(blocks.largest()->bytes == reference.rbegin()->first);
  }
  auto place = blocks.first_of_at_least(512);
  for (const auto& [bytes, address] : reference) {
    REQUIRE(blocks[place].bytes == bytes);
    REQUIRE(blocks[place].address == address);
    place = blocks.next(place);
  }
  CHECK(place == blocks.end());
}

}  // namespace

TEST_CASE("free blocks: a set in the order of size and address") {
  std::mt19937 random(3);
  SUBCASE("few sizes") {
    check_as_a_set(random, [&] { return 512 * static_cast<std::int64_t>(1 + random() % 5); });
  }
  SUBCASE("near sizes, which share bins") {
    check_as_a_set(random, [&] { return 512 * static_cast<std::int64_t>(4000 + random() % 200); });
  }
  SUBCASE("all sizes") {
    check_as_a_set(random, [&] {
      const auto units =
          (std::int64_t{1} << (random() % 52)) + static_cast<std::int64_t>(random() % 1000);
      return 512 * std::min(units, std::int64_t{1} << 51);
    });
  }
}

TEST_CASE("addresses: the lowest gap that fits, and neighbours join") {
  AddressSpace space;
  const std::uint64_t base = AddressSpace::kFirstAddress;
  CHECK(space.take(100) == base);
  CHECK(space.take(50) == base + 100);
  CHECK(space.take(200) == base + 150);
  CHECK(space.take(10) == base + 350);
  space.give_back(base, 100);
  space.give_back(base + 150, 200);
  CHECK(space.take(150) == base + 150);
  CHECK(space.take(60) == base);
  CHECK(space.take(50) == base + 300);
  CHECK(space.take(41) == base + 360);
  space.give_back(base + 100, 50);
  CHECK(space.take(90) == base + 60);
}

TEST_CASE("addresses: many gaps, against a list") {
  std::mt19937 random(5);
  AddressSpace space;
  std::map<std::uint64_t, std::int64_t> taken;
  const auto lowest = [&taken](std::int64_t bytes) {
    std::uint64_t start = AddressSpace::kFirstAddress;
    for (const auto& [address, size] : taken) {
      if (start + static_cast<std::uint64_t>(bytes) <= address) break;
      start = address + static_cast<std::uint64_t>(size);
    }
    return start;
  };
  for (int i = 0; i < 6000; ++i) {
    if (i > 2500 && !taken.empty() && random() % 2 == 0) {
      auto victim = taken.lower_bound(AddressSpace::kFirstAddress + random() % 200000);
      if (victim == taken.end()) victim = taken.begin();
      space.give_back(victim->first, victim->second);
      taken.erase(victim);
    } else {
      const auto bytes = static_cast<std::int64_t>(1 + random() % 100);
      const std::uint64_t address = space.take(bytes);
      REQUIRE(address == lowest(bytes));
      taken[address] = bytes;
    }
  }
}
