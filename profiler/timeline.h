// Down-samples live bytes over time without losing a maximum.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "profiler/memory_profile.h"

namespace sbp::profiler {

// Buckets hold equal numbers of events; each keeps the first of its highest points.
class TimelineSampler {
 public:
  // `events`: how many points will be added. `most_points` below 1 keeps none.
  TimelineSampler(std::int64_t events, std::int64_t most_points);

  void add(const TimelinePoint& point) {
    if (points_.capacity() == 0) return;
    if (added_ >= bucket_end_) {
      points_.push_back(point);
      open_next_bucket();
    } else if (point.live_bytes > points_.back().live_bytes) {
      points_.back() = point;
    }
    ++added_;
  }

  std::vector<TimelinePoint> take() && { return std::move(points_); }

 private:
  void open_next_bucket();

  std::vector<TimelinePoint> points_;
  std::int64_t events_;
  std::int64_t buckets_;
  std::int64_t added_ = 0;
  std::int64_t bucket_end_ = 0;  // the first event of the next bucket
};

}  // namespace sbp::profiler
