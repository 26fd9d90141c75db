// Reads the buffers that CUPTI fills with activity records, without CUPTI.
//
// The strides are our own and hold for API version 130001 (activity_layout.h), so whoever feeds
// live buffers checks the library's version first. Any bytes may be given: what cannot be read is
// told of, and nothing is read beyond the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "profiler/cuda/activity_records.h"

namespace sbp::profiler {

// Two fields of a memory record point to text. In a live buffer they do until it goes back to
// CUPTI, so the text is copied at once; in bytes from anywhere else they point nowhere.
enum class PointedText { ignore, copy };

// A record that begins in the buffer and does not end in it.
struct TruncatedRecord {
  std::size_t offset = 0;
  std::size_t bytes_present = 0;
  // What the whole record would take; 0 with no kind, when not even that is all there.
  std::size_t whole_bytes = 0;
  std::optional<std::uint32_t> kind;

  bool operator==(const TruncatedRecord&) const = default;
};

// A record of a kind whose size is not known, so that what follows cannot be read either.
struct UnreadableRecord {
  std::size_t offset = 0;
  std::uint32_t kind = 0;
  std::size_t bytes_left = 0;  // of the buffer, this record included

  bool operator==(const UnreadableRecord&) const = default;
};

struct DecodedActivities {
  std::vector<Activity> records;     // of the kinds that are decoded, in the buffer's order
  std::vector<std::size_t> offsets;  // of each of them
  std::int64_t skipped_records = 0;  // of other kinds
  std::size_t complete_bytes = 0;    // where the last complete record ends
  // At most one of these, and then it is where reading ended.
  std::optional<TruncatedRecord> truncated;
  std::optional<UnreadableRecord> unreadable;
};

// `buffer`: only the valid bytes. Needs no alignment.
DecodedActivities decode_activities(std::span<const std::byte> buffer,
                                    PointedText text = PointedText::ignore);

// The bytes of a record of this kind; 0 for a kind that is not known.
std::size_t activity_bytes(std::uint32_t kind) noexcept;

}  // namespace sbp::profiler
