// The one source of randomness: a counter-based generator whose every number is a function of
// what it is for, so that any step can be replayed, recomputed or resumed without saved state.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace sbp {

enum class Purpose : std::uint8_t {
  initialise,
  mask,
  dropout,
  drop_path,
  rounding,
  sampling,
  shuffle,
  augment,
  synthetic,
};

// What a stream of numbers is for. Streams of different keys are independent.
struct StreamKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;  // training step; for data: epoch
  std::uint32_t site = 0;  // site or parameter index; for data: sample
  Purpose purpose = Purpose::initialise;
  std::uint32_t rank = 0;  // of the process, below 2^24
};

// Ten rounds of Philox-4x32 (Salmon et al., SC 2011): one 128-bit block of a 128-bit counter.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

class RandomStream {
 public:
  explicit RandomStream(const StreamKey& key);

  // Goes to the number at `position`, counted from 0, as next() would give it.
  void seek(std::uint64_t position);

  // Uniform over 32 bits.
  std::uint32_t next() {
    if (used_ == 4) refill();
    return block_[used_++];
  }
  std::uint64_t below(std::uint64_t bound);  // uniform over [0, bound), unbiased; bound > 0
  double uniform();                          // [0, 1), 53 bits
  double normal();                           // standard normal

  // Normal values cut at +-2 standard deviations, the way ViT weights are drawn.
  void fill_truncated_normal(std::span<float> values, double standard_deviation);

 private:
  void refill();

  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
  double spare_normal_ = 0.0;
  bool has_spare_ = false;
};

// Fisher-Yates shuffle of `values` in place.
void shuffle(std::span<std::int64_t> values, RandomStream& stream);

}  // namespace sbp
