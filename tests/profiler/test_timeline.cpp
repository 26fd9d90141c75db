#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "profiler/timeline.h"

namespace sbp::profiler {
namespace {

std::vector<std::int64_t> sampled(const std::vector<std::int64_t>& bytes, std::int64_t points) {
  TimelineSampler sampler(static_cast<std::int64_t>(bytes.size()), points);
  std::uint64_t time_ns = 0;
  for (const std::int64_t live : bytes) sampler.add({time_ns++, live, Phase::forward});
  std::vector<std::int64_t> result;
  for (const TimelinePoint& point : std::move(sampler).take()) result.push_back(point.live_bytes);
  return result;
}

using Bytes = std::vector<std::int64_t>;

TEST_CASE("a short timeline is kept whole") {
  CHECK(sampled({3, 1, 2}, 3) == Bytes{3, 1, 2});
  CHECK(sampled({3, 1, 2}, 100) == Bytes{3, 1, 2});
  CHECK(sampled({}, 100).empty());
}

TEST_CASE("each bucket of a long timeline keeps its maximum") {
  CHECK(sampled({1, 9, 2, 3, 4, 5}, 2) == Bytes{9, 5});
  CHECK(sampled({1, 9, 2, 3, 4, 5, 8}, 3) == Bytes{9, 3, 8});  // buckets of 2, 2, 3
  CHECK(sampled({1, 9, 2}, 1) == Bytes{9});
}

TEST_CASE("no points asked for, none given") {
  CHECK(sampled({1, 2}, 0).empty());
  CHECK(sampled({1, 2}, -5).empty());
}

TEST_CASE("of equal maxima the first is kept") {
  TimelineSampler sampler(3, 1);
  for (const std::uint64_t time_ns : {10u, 20u, 30u}) sampler.add({time_ns, 7, Phase::backward});
  const std::vector<TimelinePoint> expected = {{10, 7, Phase::backward}};
  CHECK(std::move(sampler).take() == expected);
}

}  // namespace
}  // namespace sbp::profiler
