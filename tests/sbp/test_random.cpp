#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "sbp/random.h"

namespace {

using sbp::Purpose;
using sbp::RandomStream;
using sbp::StreamKey;

using Block = std::array<std::uint32_t, 4>;

std::vector<std::uint32_t> draw(const StreamKey& key, int count) {
  RandomStream stream(key);
  std::vector<std::uint32_t> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(stream.next());
  return numbers;
}

}  // namespace

// The known answers that the authors of Philox publish with Random123 (philox4x32, 10 rounds).
TEST_CASE("random: philox gives the published answers") {
  CHECK(sbp::philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t kOnes = 0xffffffff;
  CHECK(sbp::philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(sbp::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random: a stream goes to any of its numbers") {
  const StreamKey key{.seed = 3, .step = 1};
  const std::vector<std::uint32_t> all = draw(key, 40);
  RandomStream stream(key);
  for (const std::size_t position : {17U, 4U, 0U, 39U, 18U, 19U}) {
    stream.seek(position);
    CHECK(stream.next() == all[position]);
  }
  stream.seek(6);
  for (std::size_t i = 6; i < 20; ++i) CHECK(stream.next() == all[i]);
}

// The layout of the counter is a promise: recorded runs are replayed by it.
TEST_CASE("random: a stream is philox over (block, step, site, purpose and rank) keyed by seed") {
  const StreamKey key{0x1122334455667788, 3, 5, Purpose::dropout, 7};
  const std::array<std::uint32_t, 2> seed{0x55667788, 0x11223344};
  const Block first = sbp::philox({0, 3, 5, 0x02000007}, seed);
  const Block second = sbp::philox({1, 3, 5, 0x02000007}, seed);
  std::vector<std::uint32_t> expected(first.begin(), first.end());
  expected.insert(expected.end(), second.begin(), second.end());
  CHECK(draw(key, 8) == expected);
}

TEST_CASE("random: equal keys replay, and every field of the key changes the stream") {
  const StreamKey base{1, 2, 3, Purpose::mask, 4};
  CHECK(draw(base, 100) == draw(base, 100));
  std::set<std::vector<std::uint32_t>> streams = {draw(base, 4)};
  streams.insert(draw({2, 2, 3, Purpose::mask, 4}, 4));
  streams.insert(draw({1 + (std::uint64_t{1} << 32), 2, 3, Purpose::mask, 4}, 4));
  streams.insert(draw({1, 3, 3, Purpose::mask, 4}, 4));
  streams.insert(draw({1, 2, 4, Purpose::mask, 4}, 4));
  streams.insert(draw({1, 2, 3, Purpose::dropout, 4}, 4));
  streams.insert(draw({1, 2, 3, Purpose::mask, 5}, 4));
  CHECK(streams.size() == 7);
}

// Neighbouring keys must not resemble each other: about half of all bits differ.
TEST_CASE("random: streams of neighbouring keys are uncorrelated") {
  int differing_bits = 0;
  for (std::uint32_t site = 0; site < 1000; ++site) {
    differing_bits += std::popcount(RandomStream({.seed = 1, .site = site}).next() ^
                                    RandomStream({.seed = 1, .site = site + 1}).next());
  }
  // 32000 fair coins: mean 16000, standard deviation 89.
  CHECK(std::abs(differing_bits - 16000) < 450);
}

TEST_CASE("random: below() stays below and is even") {
  RandomStream stream({.seed = 11});
  std::array<int, 7> counts{};
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) ++counts.at(stream.below(7));
  double chi_square = 0.0;
  for (const int count : counts) chi_square += (count - 10000.0) * (count - 10000.0) / 10000.0;
  CHECK(chi_square < 22.5);  // 6 degrees of freedom: one in a thousand exceeds it
  for (int i = 0; i < 100; ++i) CHECK(stream.below(1) == 0);
  // A bound just above half of the range rejects nearly half of all draws.
  constexpr std::uint64_t kHuge = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) REQUIRE(stream.below(kHuge) < kHuge);
  for (int i = 0; i < 100; ++i) REQUIRE(stream.below(~std::uint64_t{0}) < ~std::uint64_t{0});
}

TEST_CASE("random: uniform() is in [0, 1) with the right moments") {
  RandomStream stream({.seed = 12});
  double sum = 0.0;
  double squares = 0.0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = stream.uniform();
    REQUIRE(value >= 0.0);
    REQUIRE(value < 1.0);
    sum += value;
    squares += value * value;
  }
  CHECK(std::abs(sum / kDraws - 0.5) < 0.005);            // 5 standard errors: 0.0046
  CHECK(std::abs(squares / kDraws - 1.0 / 3.0) < 0.005);  // 5 standard errors: 0.0047
}

TEST_CASE("random: normal() has the moments of a standard normal") {
  RandomStream stream({.seed = 13});
  double sum = 0.0, squares = 0.0, cubes = 0.0, fourths = 0.0, neighbours = 0.0, previous = 0.0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = stream.normal();
    REQUIRE(std::isfinite(value));
    sum += value;
    squares += value * value;
    cubes += value * value * value;
    fourths += value * value * value * value;
    neighbours += value * previous;
    previous = value;
  }
  CHECK(std::abs(sum / kDraws) < 0.016);
  CHECK(std::abs(squares / kDraws - 1.0) < 0.023);
  CHECK(std::abs(cubes / kDraws) < 0.062);
  CHECK(std::abs(fourths / kDraws - 3.0) < 0.16);
  CHECK(std::abs(neighbours / kDraws) < 0.016);
}

TEST_CASE("random: truncated normal stays within two standard deviations") {
  std::vector<float> values(50000);
  RandomStream stream({.seed = 14});
  stream.fill_truncated_normal(values, 0.02);
  double sum = 0.0, squares = 0.0;
  for (const float value : values) {
    REQUIRE(std::abs(value) <= 0.04f);
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double count = static_cast<double>(values.size());
  CHECK(std::abs(sum / count) < 0.0005);
  // A standard normal cut at +-2 has variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737.
  CHECK(std::abs(squares / count / (0.02 * 0.02) - 0.7737) < 0.02);
  CHECK(std::ranges::max(values) > 0.039f);
}

TEST_CASE("random: shuffle permutes, and every place is as likely as any other") {
  constexpr int kItems = 6;
  std::array<std::array<int, kItems>, kItems> counts{};
  for (std::uint32_t epoch = 0; epoch < 12000; ++epoch) {
    std::vector<std::int64_t> values(kItems);
    std::iota(values.begin(), values.end(), 0);
    RandomStream stream({.seed = 15, .step = epoch, .purpose = Purpose::shuffle});
    sbp::shuffle(values, stream);
    for (std::size_t place = 0; place < kItems; ++place) {
      ++counts[place].at(static_cast<std::size_t>(values[place]));
    }
  }
  for (const auto& row : counts) {
    CHECK(std::accumulate(row.begin(), row.end(), 0) == 12000);
    // Mean 2000, standard deviation 41.
    for (const int count : row) CHECK(std::abs(count - 2000) < 205);
  }
  for (std::size_t value = 0; value < kItems; ++value) {
    int column = 0;
    for (const auto& row : counts) column += row[value];
    CHECK(column == 12000);
  }
  std::vector<std::int64_t> none;
  RandomStream stream({.seed = 16});
  sbp::shuffle(none, stream);
  CHECK(none.empty());
}
