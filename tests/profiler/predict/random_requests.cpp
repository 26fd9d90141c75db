#include "tests/profiler/predict/random_requests.h"

namespace sbp::predict::tests {

AllocatorOptions random_options(std::mt19937& random) {
  AllocatorOptions options;
  if (one_in(random, 4)) {
    options.large_segment_bytes = one_of(random, {11, 12, 20, 25, 32}) * kMebibyte;
  }
  const std::int64_t segment = options.large_segment_bytes;
  if (one_in(random, 3)) {
    options.max_split_bytes = segment + one_of(random, {0, 1, 10, 44}) * kMebibyte;
    if (one_in(random, 2)) {
      options.max_non_split_rounding_bytes = segment + one_of(random, {0, 5, 30}) * kMebibyte;
    }
  }
  if (one_in(random, 4)) options.roundup_power2_divisions.fill(one_of(random, {2, 4, 8, 16}));
  if (one_in(random, 8)) {
    for (std::int64_t& divisions : options.roundup_power2_divisions) {
      divisions = one_of(random, {0, 1, 2, 4, 32, 1024});
    }
  }
  if (one_in(random, 2)) {
    options.limit_bytes =
        one_of(random, {60, 100, 250, 700}) * kMebibyte + (one_in(random, 2) ? 777 : 0);
  }
  if (one_in(random, 2)) {
    options.garbage_collection_threshold = one_of(random, {0.2, 0.5, 0.8, 0.95});
  }
  options.expandable_segments = one_in(random, 3);
  if (one_in(random, 3)) options.device_total_bytes = one_of(random, {50, 123, 400}) * kMebibyte;
  return options;
}

std::int64_t random_request(std::mt19937& random) {
  if (one_in(random, 5)) {
    const std::int64_t edge = one_of<std::int64_t>(
        random, {512, 1024, kMebibyte, 2 * kMebibyte, 10 * kMebibyte, 11 * kMebibyte,
                 12 * kMebibyte, 20 * kMebibyte, 21 * kMebibyte, 32 * kMebibyte, 64 * kMebibyte});
    return edge + one_of(random, {-511, -1, 0, 1, 511, 512});
  }
  const int bits = one_of(random, {9, 12, 16, 19, 20, 21, 22, 23, 24, 25});
  return 1 + static_cast<std::int64_t>(random() % (1u << bits));
}

}  // namespace sbp::predict::tests
