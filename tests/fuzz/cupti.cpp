// CUPTI's activity buffers, and the books over their records.
#include "profiler/cuda/activity_books.h"
#include "profiler/cuda/activity_decoder.h"
#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using namespace sbp::profiler;

SBP_FUZZ_TARGET(cupti) {
  const DecodedActivities decoded = decode_activities(std::as_bytes(input));
  fuzz::require(decoded.complete_bytes <= input.size(), "reads no more than there is");
  fuzz::require(decoded.complete_bytes == input.size() || decoded.truncated || decoded.unreadable,
                "says why it ended");
  const ActivityBooks books = activity_books(decoded.records);
  for (std::size_t kind = 0; kind < kMemoryKindCount; ++kind) {
    fuzz::require(0 <= books.live_at_end_bytes[kind] &&
                      books.live_at_end_bytes[kind] <= books.peak_live_bytes[kind],
                  "live bytes are between none and the peak");
  }
  // Each operation is told of once; a pair is two of them.
  fuzz::require(books.pairs.size() * 2 + books.never_released.size() +
                        books.releases_without_allocation.size() + books.releases_missed.size() +
                        books.damaged.size() ==
                    books.memory_records.size(),
                "every memory record is in the books");
}
