// The k-th largest key without sorting: a histogram of the keys' upper bits, then of the next bits
// of the keys in the bin that holds the k-th, until a bin is kept whole or the bits are used up.
//
// Two passes over the data are enough for 16-bit elements, three for 32; a top-k would need a copy
// of the data and an index of eight bytes an element. Scratch: 16 KB a task.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "dropit/workers.h"

namespace sbp::dropit {

// Kept: keys above `key`, and the first `ties` of those equal to it, in the order of their index.
template <typename Key>
struct Threshold {
  Key key = std::numeric_limits<Key>::max();
  std::int64_t ties = 0;
};

// A part of a group, and what of it lies above and on the threshold.
struct Portion {
  std::int64_t begin = 0, end = 0;
  std::int64_t above = 0;
  std::int64_t ties = 0;
};

template <typename Order, typename Bits>
class ThresholdSearch {
 public:
  using Key = typename Order::Key;

  // Where `kept` elements of the portions together are to be kept. Fills in the portions' counts.
  // REQUIRES 0 <= kept <= their elements.
  static Threshold<Key> run(const Bits* data, std::vector<Portion>& portions, std::int64_t kept,
                            const Workers& workers) {
    if (kept == 0) return {};
    ThresholdSearch search(data, portions, kept);
    while (search.bits_left_ > 0) {
      if (search.narrow(workers)) break;
    }
    return search.result();
  }

 private:
  static constexpr int kDigitBits = 11;
  static constexpr std::size_t kBins = std::size_t{1} << kDigitBits;
  // Two of each, used in turn: equal keys in a row would wait for one another.
  using Histogram = std::vector<std::uint32_t>;

  ThresholdSearch(const Bits* data, std::vector<Portion>& portions, std::int64_t kept)
      : data_(data), portions_(portions), histograms_(portions.size()), missing_(kept) {}

  // Reads the next digit. True when the bin that holds the k-th key is kept whole.
  bool narrow(const Workers& workers) {
    digit_bits_ = std::min(kDigitBits, bits_left_);
    const int shift = bits_left_ - digit_bits_;
    workers.run(std::ssize(portions_), [&](std::int64_t i) {
      const auto index = static_cast<std::size_t>(i);
      histograms_[index].assign(2 * kBins, 0);
      if (bits_left_ == Order::kKeyBits) {
        count_all(portions_[index], histograms_[index], shift);
      } else {
        count_matching(portions_[index], histograms_[index], shift);
      }
    });
    const std::size_t bin = find_bin();
    const std::int64_t in_bin = total(bin);
    for (std::size_t i = 0; i < portions_.size(); ++i) {
      const Histogram& histogram = histograms_[i];
      for (std::size_t above = bin + 1; above < kBins; ++above) {
        portions_[i].above += histogram[above] + histogram[kBins + above];
      }
      portions_[i].ties = std::int64_t{histogram[bin]} + histogram[kBins + bin];
    }
    bits_left_ = shift;
    prefix_ = static_cast<Key>((std::uint64_t{prefix_} << digit_bits_) | bin);
    keeps_bin_whole_ = in_bin == missing_;
    return keeps_bin_whole_;
  }

  void count_all(const Portion& portion, Histogram& histogram, int shift) const {
    std::uint32_t* const even = histogram.data();
    std::uint32_t* const odd = even + kBins;
    std::int64_t i = portion.begin;
    for (; i + 1 < portion.end; i += 2) {
      ++even[Order::key(data_[i]) >> shift];
      ++odd[Order::key(data_[i + 1]) >> shift];
    }
    if (i < portion.end) ++even[Order::key(data_[i]) >> shift];
  }

  void count_matching(const Portion& portion, Histogram& histogram, int shift) const {
    const Key mask = static_cast<Key>((std::uint64_t{1} << digit_bits_) - 1);
    for (std::int64_t i = portion.begin; i < portion.end; ++i) {
      const Key key = Order::key(data_[i]);
      if (static_cast<Key>(key >> bits_left_) != prefix_) continue;
      ++histogram[static_cast<std::size_t>((key >> shift) & mask)];
    }
  }

  std::int64_t total(std::size_t bin) const {
    std::int64_t sum = 0;
    for (const Histogram& histogram : histograms_) {
      sum += std::int64_t{histogram[bin]} + histogram[kBins + bin];
    }
    return sum;
  }

  // From the top down, to the bin in which the count is reached.
  std::size_t find_bin() {
    std::size_t bin = kBins - 1;
    for (; bin > 0; --bin) {
      const std::int64_t here = total(bin);
      if (here >= missing_) break;
      missing_ -= here;
    }
    return bin;
  }

  Threshold<Key> result() {
    if (!keeps_bin_whole_) return {prefix_, missing_};
    for (Portion& portion : portions_) {
      portion.above += portion.ties;
      portion.ties = 0;
    }
    const Key lowest = static_cast<Key>(std::uint64_t{prefix_} << bits_left_);
    if (lowest > 0) return {static_cast<Key>(lowest - 1), 0};
    // Nothing is below 0: everything is kept.
    return {0, std::numeric_limits<std::int64_t>::max()};
  }

  const Bits* data_;
  std::vector<Portion>& portions_;
  std::vector<Histogram> histograms_;
  std::int64_t missing_;  // of the count, within the bin that was found last
  Key prefix_ = 0;        // digits found so far
  int bits_left_ = Order::kKeyBits;
  int digit_bits_ = 0;
  bool keeps_bin_whole_ = false;
};

}  // namespace sbp::dropit
