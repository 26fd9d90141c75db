#include "sbp/random.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace sbp {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

// Counter words: block number, step, site, purpose and rank. The seed is the key.
RandomStream::RandomStream(const StreamKey& key)
    : counter_{0, key.step, key.site,
               (static_cast<std::uint32_t>(key.purpose) << 24) | (key.rank & 0xFFFFFFu)},
      key_{static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)} {}

void RandomStream::seek(std::uint64_t position) {
  counter_[0] = static_cast<std::uint32_t>(position / 4);
  used_ = 4;
  has_spare_ = false;
  for (std::uint64_t i = 0; i < position % 4; ++i) next();
}

void RandomStream::refill() {
  block_ = philox(counter_, key_);
  ++counter_[0];
  used_ = 0;
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  // Rejects the last, incomplete run of `bound` values, so that none is likelier than another.
  const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % bound + 1) % bound;
  for (;;) {
    const std::uint64_t high = next();
    const std::uint64_t value = (high << 32) | next();
    if (value <= limit) return value % bound;
  }
}

double RandomStream::uniform() {
  const std::uint64_t high = next() >> 5;
  return static_cast<double>((high << 26) | (next() >> 6)) * 0x1.0p-53;
}

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  // Box-Muller; 1 - uniform() is in (0, 1], so the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

void RandomStream::fill_truncated_normal(std::span<float> values, double standard_deviation) {
  for (float& value : values) {
    double draw = normal();
    while (std::abs(draw) > 2.0) draw = normal();
    value = static_cast<float>(draw * standard_deviation);
  }
}

void shuffle(std::span<std::int64_t> values, RandomStream& stream) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[stream.below(i)]);
  }
}

}  // namespace sbp
