#include "profiler/predict/largest_batch.h"

#include <algorithm>
#include <map>

namespace sbp::predict {
namespace {

constexpr std::int64_t kStepsDown = 128;

class Search {
 public:
  Search(std::int64_t most, const std::function<BatchTrial(std::int64_t)>& try_batch)
      : most_(most), try_batch_(try_batch) {}

  FoundBatch run(std::int64_t start) {
    const std::int64_t bound = first_hopeless(std::clamp<std::int64_t>(start, 1, most_));
    FoundBatch best;
    if (bound <= most_) best.bound = bound;
    const std::int64_t step = std::max<std::int64_t>(1, bound / kStepsDown);
    std::int64_t high = bound;  // does not fit
    std::int64_t low = bound - 1;
    while (low > 0 && !trial(low).fits) {
      high = low;
      low = std::max<std::int64_t>(low - step, 0);
    }
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (trial(middle).fits ? low : high) = middle;
    }
    best.batch = low;
    if (low > 0) best.peak_bytes = trial(low).peak_bytes;
    return best;
  }

 private:
  const BatchTrial& trial(std::int64_t batch) {
    const auto known = trials_.find(batch);
    return known != trials_.end() ? known->second : trials_[batch] = try_batch_(batch);
  }

  // most_ + 1 where none is.
  std::int64_t first_hopeless(std::int64_t start) {
    std::int64_t low = 0, high = start;
    while (high <= most_ && !trial(high).hopeless) {
      low = high;
      high = high == most_ ? most_ + 1 : std::min(2 * high, most_);
    }
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (trial(middle).hopeless ? high : low) = middle;
    }
    return high;
  }

  const std::int64_t most_;
  const std::function<BatchTrial(std::int64_t)>& try_batch_;
  std::map<std::int64_t, BatchTrial> trials_;
};

}  // namespace

FoundBatch find_largest_batch(std::int64_t start, std::int64_t most,
                              const std::function<BatchTrial(std::int64_t batch)>& try_batch) {
  return Search(most, try_batch).run(start);
}

}  // namespace sbp::predict
