#include "profiler/predict/request_size.h"

#include <algorithm>
#include <bit>

namespace sbp::predict {
namespace {

std::int64_t multiple_of(std::int64_t bytes, std::int64_t step) {
  return (bytes + step - 1) / step * step;
}

int floor_log2(std::int64_t number) {
  return 63 - std::countl_zero(static_cast<std::uint64_t>(number));
}

std::int64_t divisions_of(std::int64_t bytes, const AllocatorOptions& options) {
  constexpr int kFirst = 20;  // below 2 MiB
  const int interval =
      std::clamp(floor_log2(bytes) - kFirst, 0, static_cast<int>(kRoundupIntervals) - 1);
  return options.roundup_power2_divisions[static_cast<std::size_t>(interval)];
}

// The next of the `divisions` steps between two powers of two.
std::int64_t next_division(std::int64_t bytes, std::int64_t divisions) {
  const std::int64_t power = std::int64_t{1} << floor_log2(bytes);
  if (bytes == power) return bytes;
  const std::int64_t step = power >> floor_log2(divisions);
  return multiple_of(bytes, step);
}

}  // namespace

std::int64_t rounded_request(std::int64_t bytes, const AllocatorOptions& options) {
  if (bytes < kMinBlockBytes) return kMinBlockBytes;
  const std::int64_t divisions = divisions_of(bytes, options);
  // bytes > 512 * divisions, which might not be a number. So a step is never below 512.
  if (divisions > 1 && (bytes - 1) / kMinBlockBytes >= divisions) {
    return next_division(bytes, divisions);
  }
  return multiple_of(bytes, kMinBlockBytes);
}

std::int64_t segment_bytes(std::int64_t rounded_bytes, const AllocatorOptions& options) {
  if (rounded_bytes <= kSmallRequestBytes) return kSmallSegmentBytes;
  if (rounded_bytes < kOwnSegmentBytes) return options.large_segment_bytes;
  return multiple_of(rounded_bytes, kSegmentStepBytes);
}

}  // namespace sbp::predict
