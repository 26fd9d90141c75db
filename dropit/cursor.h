// Which elements are kept, 64 at a time. A cursor's flags(first, count) gives bit j for element
// first + j; it is asked for elements in ascending order, none left out, from where it was set.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "dropit/keep_rule.h"
#include "dropit/threshold.h"
#include "sbp/random.h"

namespace sbp::dropit {

// The lowest `count` of the bits that are set.
inline std::uint64_t lowest_bits(std::uint64_t bits, std::int64_t count) {
  std::uint64_t result = 0;
  for (; count > 0 && bits != 0; --count) {
    result |= bits & (~bits + 1);
    bits &= bits - 1;
  }
  return result;
}

// Bit j is byte j, each of which is 0 or 1.
inline std::uint64_t bits_of(const std::array<std::uint8_t, 64>& bytes) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, bytes.data() + 8 * i, 8);
    // The product's upper byte gathers them: byte j is moved to bit 56 + j.
    result |= (eight * 0x0102040810204080U) >> 56 << (8 * i);
  }
  return result;
}

template <typename Order, typename Bits>
class ThresholdCursor {
 public:
  using Key = typename Order::Key;

  ThresholdCursor(const Bits* data, const Threshold<Key>& threshold)
      : data_(data), threshold_(threshold) {}

  std::uint64_t flags(std::int64_t first, int count) {
    const std::uint64_t above =
        where(first, count, [key = threshold_.key](Key one) { return one > key; });
    if (threshold_.ties == 0) return above;
    std::uint64_t equal =
        where(first, count, [key = threshold_.key](Key one) { return one == key; });
    const int ties = std::popcount(equal);
    if (ties > threshold_.ties) equal = lowest_bits(equal, threshold_.ties);
    threshold_.ties -= std::min<std::int64_t>(ties, threshold_.ties);
    return above | equal;
  }

 private:
  // Compared into bytes first, which the compiler does many at a time.
  template <typename Test>
  std::uint64_t where(std::int64_t first, int count, Test test) const {
    std::array<std::uint8_t, 64> bytes;
    const Bits* const data = data_ + first;
    if (count == 64) {
      for (std::size_t j = 0; j < 64; ++j) bytes[j] = test(Order::key(data[j])) ? 1 : 0;
    } else {
      bytes.fill(0);
      for (int j = 0; j < count; ++j) {
        bytes[static_cast<std::size_t>(j)] = test(Order::key(data[j])) ? 1 : 0;
      }
    }
    return bits_of(bytes);
  }

  const Bits* data_;
  Threshold<Key> threshold_;  // its ties: those left
};

// Finds the threshold of each group as it is reached.
template <typename Order, typename Bits>
class GroupThresholds {
 public:
  using Key = typename Order::Key;

  explicit GroupThresholds(const Bits* data) : data_(data), cursor_(data, {}) {}

  void enter(std::int64_t begin, std::int64_t end, std::int64_t kept) {
    // A histogram of a short row would mostly be empty bins.
    constexpr std::int64_t kShort = 4096;
    if (end - begin <= kShort) {
      cursor_ = {data_, of_short(begin, end, kept)};
      return;
    }
    std::vector<Portion> whole{{.begin = begin, .end = end}};
    cursor_ = {data_, ThresholdSearch<Order, Bits>::run(data_, whole, kept, Workers{})};
  }
  std::uint64_t flags(std::int64_t first, int count) { return cursor_.flags(first, count); }

 private:
  Threshold<Key> of_short(std::int64_t begin, std::int64_t end, std::int64_t kept) {
    if (kept == 0) return {};
    keys_.clear();
    for (std::int64_t i = begin; i < end; ++i) keys_.push_back(Order::key(data_[i]));
    const auto last = keys_.begin() + (kept - 1);
    std::nth_element(keys_.begin(), last, keys_.end(), std::greater<>());
    return {*last, kept - std::count_if(keys_.begin(), last, [&](Key key) { return key > *last; })};
  }

  const Bits* data_;
  ThresholdCursor<Order, Bits> cursor_;
  std::vector<Key> keys_;
};

// Selection sampling (Knuth, TAOCP 2, algorithm S): exactly the asked number, every set of that
// size alike. The number of element i is always the same one of the key's stream.
class GroupDraws {
 public:
  explicit GroupDraws(const StreamKey& key) : stream_(key) {}

  void enter(std::int64_t begin, std::int64_t end, std::int64_t kept) {
    constexpr std::int64_t kBefore = 4;  // the stream's first numbers are Groups' own
    stream_.seek(static_cast<std::uint64_t>(begin + kBefore));
    left_ = static_cast<std::uint64_t>(end - begin);
    missing_ = static_cast<std::uint64_t>(kept);
  }
  std::uint64_t flags(std::int64_t, int count) {
    std::uint64_t result = 0;
    for (int j = 0; j < count; ++j, --left_) {
      const bool kept = (std::uint64_t{stream_.next()} * left_) >> 32 < missing_;
      result |= std::uint64_t{kept} << j;
      missing_ -= std::uint64_t{kept};
    }
    return result;
  }

 private:
  RandomStream stream_;
  std::uint64_t left_ = 0, missing_ = 0;
};

// Goes from group to group. REQUIRES that it starts at the beginning of `group`.
template <typename Inner>
class GroupCursor {
 public:
  GroupCursor(const Groups& groups, std::int64_t group, Inner inner)
      : groups_(groups), group_(group - 1), end_(groups.begin(group)), inner_(std::move(inner)) {}

  std::uint64_t flags(std::int64_t first, int count) {
    std::uint64_t result = 0;
    for (int done = 0; done < count;) {
      if (first + done == end_) enter_next();
      const int here = static_cast<int>(std::min<std::int64_t>(count - done, end_ - first - done));
      result |= inner_.flags(first + done, here) << done;
      done += here;
    }
    return result;
  }

 private:
  void enter_next() {
    ++group_;
    const std::int64_t begin = end_;
    end_ = groups_.end(group_);
    inner_.enter(begin, end_, groups_.kept_before(group_ + 1) - groups_.kept_before(group_));
  }

  const Groups& groups_;
  std::int64_t group_;
  std::int64_t end_;
  Inner inner_;
};

// What is further than `limit` from `mean`; NaN is, and so is everything where the mean is NaN.
template <typename ElementT>
class DistanceCursor {
 public:
  using Bits = typename ElementT::Bits;

  DistanceCursor(const Bits* data, double mean, double limit)
      : data_(data), mean_(mean), limit_(limit) {}

  std::uint64_t flags(std::int64_t first, int count) const {
    std::uint64_t result = 0;
    for (int j = 0; j < count; ++j) {
      const double distance = std::abs(ElementT::value(data_[first + j]) - mean_);
      result |= std::uint64_t{!(distance <= limit_)} << j;
    }
    return result;
  }

 private:
  const Bits* data_;
  double mean_;
  double limit_;
};

}  // namespace sbp::dropit
