#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <random>

#include "profiler/number_map.h"

namespace sbp::profiler {
namespace {

constexpr std::uint32_t kAbsent = NumberMap::kAbsent;

TEST_CASE("a number map finds, replaces and takes") {
  NumberMap map;
  CHECK(map.find(0) == kAbsent);
  CHECK(map.exchange(0, 5) == kAbsent);
  CHECK(map.exchange(~std::uint64_t{0}, 6) == kAbsent);
  CHECK(map.find(0) == 5);
  CHECK(map.exchange(0, 7) == 5);
  CHECK(map.size() == 2);
  CHECK(map.take(0) == 7);
  CHECK(map.take(0) == kAbsent);
  CHECK(map.find(~std::uint64_t{0}) == 6);
  CHECK(map.size() == 1);
}

TEST_CASE("a number map agrees with std::map under random use") {
  std::mt19937_64 random(3);
  NumberMap map;
  std::map<std::uint64_t, std::uint32_t> model;
  // Growing, then shrinking; few distinct keys in runs, so that clusters form and break up.
  bool agrees = true;
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    const std::uint64_t key = (random() % 5000) * (random() % 2 == 0 ? 1 : 64);
    const bool insert = random() % 10 < (i < 100'000 ? 7u : 3u);
    const auto known = model.find(key);
    const std::uint32_t expected = known == model.end() ? kAbsent : known->second;
    agrees = agrees && map.find(key) == expected;
    if (insert) {
      agrees = agrees && map.exchange(key, i) == expected;
      model[key] = i;
    } else {
      agrees = agrees && map.take(key) == expected;
      model.erase(key);
    }
    agrees = agrees && map.size() == model.size();
  }
  CHECK(agrees);
  CHECK(model.size() > 1000);
  for (const auto& [key, value] : model) agrees = agrees && map.find(key) == value;
  CHECK(agrees);
}

}  // namespace
}  // namespace sbp::profiler
