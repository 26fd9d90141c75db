#include "profiler/timeline.h"

#include <algorithm>

namespace sbp::profiler {

TimelineSampler::TimelineSampler(std::int64_t events, std::int64_t most_points)
    : events_(events), buckets_(std::clamp<std::int64_t>(most_points, 0, events)) {
  points_.reserve(static_cast<std::size_t>(buckets_));
}

// The product fits: both factors stay below 2^32, the bound on a trace's records.
void TimelineSampler::open_next_bucket() {
  bucket_end_ = static_cast<std::int64_t>(points_.size()) * events_ / buckets_;
}

}  // namespace sbp::profiler
