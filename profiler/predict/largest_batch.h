// The largest batch that fits, by trying.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace sbp::predict {

// As many samples as a run may have in a batch.
inline constexpr std::int64_t kMostBatch = 1'000'000;

struct BatchTrial {
  bool fits = false;
  std::int64_t peak_bytes = 0;
  bool hopeless = false;  // its tensors alone take more than there is
};

struct FoundBatch {
  std::int64_t batch = 0;  // 0: none of those that were tried
  std::int64_t peak_bytes = 0;
  std::optional<std::int64_t> bound = {};  // the first hopeless one; empty: `most` is not

  bool operator==(const FoundBatch&) const = default;
};

// Whether a batch fits need not grow with it: near the limit the allocator's rests decide. What its
// tensors take does grow, so from the first hopeless batch on nothing fits. Tries from there
// downwards, all batches while there are at most 128 in reach, else in steps of a 128th, and then
// what lies between. The answer does not depend on `start`, the batch to begin with, which is at
// least 1. Batches above `most` are not tried.
FoundBatch find_largest_batch(std::int64_t start, std::int64_t most,
                              const std::function<BatchTrial(std::int64_t batch)>& try_batch);

}  // namespace sbp::predict
