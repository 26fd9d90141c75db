// From the bytes of a request to those of its block and of a new segment: PyTorch's constants.
#pragma once

#include <cstdint>

#include "profiler/predict/allocator_options.h"
#include "profiler/predict/allocator_statistics.h"

namespace sbp::predict {

inline constexpr std::int64_t kMinBlockBytes = 512;            // every block is a multiple of it
inline constexpr std::int64_t kSmallRequestBytes = kMebibyte;  // the largest of the small pool
inline constexpr std::int64_t kSmallSegmentBytes = 2 * kMebibyte;
inline constexpr std::int64_t kOwnSegmentBytes = 10 * kMebibyte;  // segments made to measure
inline constexpr std::int64_t kSegmentStepBytes = 2 * kMebibyte;  // a multiple of which they are
// PyTorch refuses requests above it.
inline constexpr std::int64_t kMaxRequestBytes = std::int64_t{1} << 60;

// The block that a request of `bytes` (1 to kMaxRequestBytes) needs, before slack.
std::int64_t rounded_request(std::int64_t bytes, const AllocatorOptions& options);

inline PoolKind pool_of(std::int64_t rounded_bytes) {
  return rounded_bytes <= kSmallRequestBytes ? PoolKind::small : PoolKind::large;
}

// What is taken from the device when no free block fits.
std::int64_t segment_bytes(std::int64_t rounded_bytes, const AllocatorOptions& options);

// What expandable segments grow by.
inline std::int64_t unit_bytes(PoolKind pool, const AllocatorOptions& options) {
  return pool == PoolKind::small ? kSmallSegmentBytes : options.large_segment_bytes;
}

}  // namespace sbp::predict
