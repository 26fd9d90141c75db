#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

#include "profiler/predict/largest_batch.h"

namespace sbp::predict {
namespace {

// A batch takes itself in bytes of tensors, of `memory`; `misfits` are those that the allocator has
// no place for although their tensors would fit.
struct Card {
  std::int64_t memory = 0;
  std::set<std::int64_t> misfits{};
  std::int64_t tries = 0;

  BatchTrial operator()(std::int64_t batch) {
    ++tries;
    if (batch > memory) return {.hopeless = true};
    return {.fits = !misfits.contains(batch), .peak_bytes = batch};
  }
};

FoundBatch found_on(Card& card, std::int64_t start, std::int64_t most = 1'000'000) {
  return find_largest_batch(start, most, [&](std::int64_t batch) { return card(batch); });
}

}  // namespace

TEST_CASE("largest batch: the largest that fits, not the end of those that do, from any start") {
  for (const std::int64_t start : {1, 7, 8, 100, 128, 129, 134, 262, 100'000}) {
    CAPTURE(start);
    Card card{.memory = 139, .misfits = {129, 132, 134, 136, 137, 138, 139}};
    const FoundBatch largest = found_on(card, start);
    CHECK(largest.batch == 135);
    CHECK(largest.peak_bytes == 135);
    CHECK(largest.bound == 140);
  }
}

TEST_CASE("largest batch: exact below 256, on any pattern") {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    Card card{.memory = static_cast<std::int64_t>(random() % 250)};
    std::int64_t expected = 0;
    for (std::int64_t batch = 1; batch <= card.memory; ++batch) {
      if (random() % 4 != 0)
        card.misfits.insert(batch);
      else
        expected = batch;
    }
    CHECK(found_on(card, 1 + static_cast<std::int64_t>(random() % 300)).batch == expected);
  }
}

TEST_CASE("largest batch: none") {
  Card small{.memory = 0};
  CHECK(found_on(small, 8) == FoundBatch{.batch = 0, .bound = 1});
  Card misfit{.memory = 3, .misfits = {1, 2, 3}};
  CHECK(found_on(misfit, 8) == FoundBatch{.batch = 0, .bound = 4});
}

TEST_CASE("largest batch: more than is tried") {
  Card endless{.memory = 1'000'000};
  const FoundBatch largest = found_on(endless, 3, 1000);
  CHECK(largest.batch == 1000);
  CHECK_FALSE(largest.bound);
}

TEST_CASE("largest batch: of many, near the largest in few tries, the same from every start") {
  for (const std::int64_t start : {1, 999, 200'000}) {
    Card card{.memory = 100'000};
    for (std::int64_t batch = 97'001; batch <= 100'000; ++batch) card.misfits.insert(batch);
    const FoundBatch largest = found_on(card, start);
    CHECK(largest.batch == 97'000);
    CHECK(card.tries < 60);
  }
}

}  // namespace sbp::predict
