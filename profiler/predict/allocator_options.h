// The settings of PyTorch's CUDA caching allocator that change which bytes it takes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "sbp/base/spec.h"

namespace sbp::predict {

inline constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
inline constexpr std::int64_t kGibibyte = std::int64_t{1} << 30;

// Intervals of roundup_power2_divisions: requests below 2 MiB, of 2 to 4 MiB, ..., from 32 GiB.
inline constexpr std::size_t kRoundupIntervals = 16;

// Sizes are whole MiB, as PyTorch takes them; `limit_bytes` and `device_total_bytes` are any.
struct AllocatorOptions {
  // Blocks of this size or more are never split, and not used for smaller requests. None: all are.
  std::optional<std::int64_t> max_split_bytes;
  // How much larger than the request a block may be that is not split. None: the segment size.
  std::optional<std::int64_t> max_non_split_rounding_bytes;
  // What is taken from the device for requests above 1 MiB and below 10 MiB.
  std::int64_t large_segment_bytes = 20 * kMebibyte;
  // Into how many steps each power of two is divided when requests are rounded up: powers of two,
  // by interval. 0 and 1: requests are rounded to 512 bytes.
  std::array<std::int64_t, kRoundupIntervals> roundup_power2_divisions{};
  // Share of the limit from which on old free segments are given back. 0: never. Does nothing
  // without a limit.
  double garbage_collection_threshold = 0.0;
  // The most that may be reserved: what set_per_process_memory_fraction() came to. None: endless.
  std::optional<std::int64_t> limit_bytes;
  bool expandable_segments = false;
  // Sizes the address ranges of expandable segments (9/8 of it); no limit.
  std::int64_t device_total_bytes = 16 * kGibibyte;

  bool operator==(const AllocatorOptions&) const = default;
};

// Throws UsageError where a value is none that PyTorch would take.
void check(const AllocatorOptions& options);

// The allocators there are, for --help: `native`.
std::span<const SpecSchema> allocator_schemas();

// Parses `expandable_segments=true,max_split_mb=128`, with or without `native:` before it.
// PyTorch's own names of keys are understood too. Throws UsageError.
AllocatorOptions parse_allocator_options(const std::string& text);

// The resolved spec: what parse_allocator_options() reads as `options`, `device_total_bytes` apart.
std::string to_string(const AllocatorOptions& options);

}  // namespace sbp::predict
