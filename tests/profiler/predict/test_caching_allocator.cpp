#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "profiler/predict/caching_allocator.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::predict;

namespace {

constexpr std::int64_t kMiB = kMebibyte;

Handle held(CachingAllocator& allocator, std::int64_t bytes, int stream = 0) {
  const auto handle = allocator.allocate(bytes, stream);
  REQUIRE(handle);
  return *handle;
}

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& sentence, const std::string& part) {
  return sentence.find(part) != std::string::npos;
}

AllocatorOptions limited(std::int64_t bytes) {
  AllocatorOptions options;
  options.limit_bytes = bytes;
  return options;
}

AllocatorOptions expandable() {
  AllocatorOptions options;
  options.expandable_segments = true;
  return options;
}

}  // namespace

TEST_CASE("caching allocator: a place says where a block lies and what it costs") {
  CachingAllocator allocator((AllocatorOptions()));
  const Handle first = held(allocator, 700, 3);
  const Handle second = held(allocator, 11 * kMiB);
  const Handle third = held(allocator, 1000, 3);
  const Place place = allocator.place(third);
  CHECK(place.address == allocator.place(first).address + 1024);
  CHECK(place.segment_address == allocator.place(first).address);
  CHECK(place.requested_bytes == 1000);
  CHECK(place.block_bytes == 1024);
  CHECK(place.stream == 3);
  CHECK(place.pool == PoolKind::small);
  CHECK(allocator.place(second).block_bytes == 12 * kMiB);
  CHECK(allocator.place(second).pool == PoolKind::large);
}

TEST_CASE("caching allocator: sizes that no tensor has are refused with a sentence") {
  CachingAllocator allocator((AllocatorOptions()));
  CHECK(says(error_of([&] { allocator.allocate(0); }), "'0' bytes: a request is of at least 1"));
  CHECK(says(error_of([&] { allocator.allocate(-7); }), "'-7' bytes"));
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(says(error_of([&] { allocator.allocate(most); }), "refuses requests above 1 EiB"));
  CHECK(says(error_of([&] { allocator.allocate((std::int64_t{1} << 60) + 1); }), "1 EiB"));
  CHECK(allocator.statistics() == AllocatorStatistics());
}

TEST_CASE("caching allocator: a replay that never frees ends with a sentence") {
  CachingAllocator allocator((AllocatorOptions()));
  std::string error;
  for (int i = 0; i < 10 && error.empty(); ++i) {
    error = error_of([&] { allocator.allocate(std::int64_t{1} << 60); });
  }
  CHECK(says(error, "no room for 1152921504606846976 bytes more"));
  CHECK(says(error, "frees what it allocates"));
  // The allocator is as it was before.
  CHECK(allocator.statistics().total.reserved.current ==
        allocator.statistics().total.allocated.current);
  held(allocator, 100);
}

TEST_CASE("caching allocator: handles of nothing are refused") {
  CachingAllocator allocator((AllocatorOptions()));
  const Handle handle = held(allocator, 100);
  allocator.free(handle);
  CHECK(says(error_of([&] { allocator.free(handle); }), "freed before"));
  CHECK(says(error_of([&] { allocator.place(handle); }), "no allocation has the handle"));
  CHECK(says(error_of([&] { allocator.record_stream(handle, 1); }), "freed before"));
  CHECK(says(error_of([&] { allocator.free({77, 0}); }), "'77.0'"));
  // The same bytes, handed out again, have another handle.
  const Handle again = held(allocator, 100);
  CHECK(again.block == handle.block);
  CHECK_THROWS_AS(allocator.free(handle), Error);
  allocator.free(again);
}

TEST_CASE("caching allocator: out of memory is an answer, after all is released") {
  CachingAllocator allocator(limited(30 * kMiB));
  const Handle kept = held(allocator, 12 * kMiB);
  allocator.free(held(allocator, 16 * kMiB));
  // The cached 16 MiB go first.
  CHECK(allocator.allocate(18 * kMiB).has_value());
  CHECK(allocator.statistics().retries == 1);
  CHECK_FALSE(allocator.allocate(kMiB).has_value());
  CHECK(allocator.statistics().out_of_memory == 1);
  CHECK(allocator.statistics().retries == 2);
  allocator.free(kept);
  CHECK(allocator.allocate(kMiB).has_value());
}

TEST_CASE("caching allocator: what was used on another stream waits for it") {
  CachingAllocator allocator((AllocatorOptions()));
  const Handle handle = held(allocator, 5 * kMiB);
  const std::uint64_t address = allocator.place(handle).address;
  allocator.record_stream(handle, 0);  // its own
  allocator.record_stream(handle, 4);
  allocator.free(handle);
  const PoolStatistics& total = allocator.statistics().total;
  CHECK(total.allocated.current == 0);
  CHECK(total.active.current == 5 * kMiB);
  CHECK(allocator.segments().front().parts.front().state == Segment::State::waiting);
  CHECK(allocator.place(held(allocator, 5 * kMiB)).address != address);
  allocator.finish_events();
  CHECK(total.active.current == 10 * kMiB);
  CHECK(allocator.place(held(allocator, 5 * kMiB)).address == address);
  CHECK(total.active.current == 10 * kMiB);
}

TEST_CASE("caching allocator: segments are told of as they come and go") {
  std::vector<SegmentEvent> events;
  CachingAllocator allocator((AllocatorOptions()));
  const Handle unseen = held(allocator, 40 * kMiB);
  allocator.observe_segments([&events](const SegmentEvent& event) { events.push_back(event); });
  const Handle small = held(allocator, 100, 2);
  held(allocator, 200, 2);
  const std::uint64_t address = allocator.place(small).address;
  allocator.free(small);
  allocator.free(unseen);
  allocator.empty_cache();
  using Kind = SegmentEvent::Kind;
  REQUIRE(events.size() == 2);
  CHECK(events[0] == SegmentEvent{Kind::allocated, PoolKind::small, 2, address, 2 * kMiB});
  CHECK(events[1].kind == Kind::freed);
  CHECK(events[1].bytes == 40 * kMiB);
  allocator.observe_segments({});
  allocator.empty_cache();
  CHECK(events.size() == 2);
}

TEST_CASE("caching allocator: expandable segments are mapped and unmapped in whole units") {
  std::vector<SegmentEvent> events;
  CachingAllocator allocator(expandable());
  allocator.observe_segments([&events](const SegmentEvent& event) { events.push_back(event); });
  const Handle first = held(allocator, 30 * kMiB);
  const Handle second = held(allocator, 15 * kMiB);
  CHECK(allocator.place(second).address ==
        allocator.place(first).address + static_cast<std::uint64_t>(30 * kMiB));
  CHECK(allocator.statistics().total.reserved.current == 60 * kMiB);
  CHECK(allocator.statistics().segments.peak == 0);
  // Of the first 30 MiB one unit of 20 lies free.
  allocator.free(first);
  allocator.empty_cache();
  CHECK(allocator.statistics().total.reserved.current == 40 * kMiB);
  const std::vector<Segment> segments = allocator.segments();
  REQUIRE(segments.size() == 1);
  CHECK(segments[0].is_expandable);
  CHECK(segments[0].bytes == 40 * kMiB);
  REQUIRE(segments[0].parts.size() == 3);
  CHECK(segments[0].parts[1].state == Segment::State::allocated);
  CHECK(allocator.place(second).segment_address + static_cast<std::uint64_t>(20 * kMiB) ==
        segments[0].address);
  // The hole is filled first.
  CHECK(allocator.place(held(allocator, 25 * kMiB)).address ==
        allocator.place(second).segment_address);
  using Kind = SegmentEvent::Kind;
  REQUIRE(events.size() == 4);
  CHECK(events[0].kind == Kind::mapped);
  CHECK(events[1].kind == Kind::mapped);
  CHECK(events[2].kind == Kind::unmapped);
  CHECK(events[2].bytes == 20 * kMiB);
  CHECK(events[3].kind == Kind::mapped);
}

TEST_CASE("caching allocator: more than an expandable range is out of memory") {
  AllocatorOptions options = expandable();
  options.device_total_bytes = 80 * kMiB;  // ranges of 100
  CachingAllocator allocator(options);
  CHECK(allocator.allocate(100 * kMiB).has_value());
  CHECK_FALSE(allocator.allocate(100 * kMiB + 1).has_value());
  CHECK(allocator.statistics().out_of_memory == 1);
  // A second range where the first is full.
  CHECK(allocator.allocate(50 * kMiB).has_value());
}

TEST_CASE("caching allocator: a block that can grow is left only for one that is smaller then") {
  AllocatorOptions options = expandable();
  options.device_total_bytes = 80 * kMiB;  // ranges of 100
  CachingAllocator allocator(options);
  held(allocator, 20 * kMiB);
  const Handle last = held(allocator, 5 * kMiB);
  const Handle rest = held(allocator, 75 * kMiB);
  const Handle other = held(allocator, 75 * kMiB);  // in a second range
  held(allocator, 25 * kMiB);
  allocator.free(rest);
  allocator.empty_cache();  // 15 MiB stay, behind them 60 are unmapped
  allocator.free(other);
  const auto behind_last = allocator.place(last).address + static_cast<std::uint64_t>(5 * kMiB);
  CHECK(allocator.place(held(allocator, 10 * kMiB)).address == behind_last);
}

TEST_CASE("caching allocator: an oversize block may be larger by less than the rounding") {
  AllocatorOptions options;
  options.max_split_bytes = 20 * kMiB;
  CachingAllocator allocator(options);
  allocator.free(held(allocator, 60 * kMiB));
  CHECK(allocator.place(held(allocator, 40 * kMiB)).block_bytes == 40 * kMiB);
  CHECK(allocator.place(held(allocator, 40 * kMiB + 1)).block_bytes == 60 * kMiB);
}

TEST_CASE("caching allocator: many streams and many segments") {
  CachingAllocator allocator((AllocatorOptions()));
  std::vector<Handle> handles;
  for (int stream = -500; stream < 500; ++stream) {
    handles.push_back(held(allocator, 100, stream));
    handles.push_back(held(allocator, 12 * kMiB, stream));
  }
  CHECK(allocator.statistics().segments.current == 2000);
  for (const Handle handle : handles) allocator.free(handle);
  allocator.empty_cache();
  CHECK(allocator.statistics().total.reserved.current == 0);
}

TEST_CASE("caching allocator: one that was moved goes on") {
  CachingAllocator allocator((AllocatorOptions()));
  const Handle handle = held(allocator, 100);
  CachingAllocator moved = std::move(allocator);
  moved.free(handle);
  CHECK(moved.statistics().total.allocated.current == 0);
}
