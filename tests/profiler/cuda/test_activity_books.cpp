#include <doctest/doctest.h>

#include <map>
#include <random>

#include "profiler/cuda/activity_books.h"
#include "profiler/cuda/activity_decoder.h"
#include "tests/profiler/cuda/buffer_builder.h"

namespace sbp::profiler {
namespace {

using tests::BufferBuilder;
using Indices = std::vector<std::int64_t>;
constexpr auto kDevice = static_cast<std::size_t>(MemoryKind::device);

ActivityBooks books_of(const BufferBuilder& builder) {
  return activity_books(decode_activities(builder.bytes()).records);
}

TEST_CASE("activity books: records out of order are joined and paired by time") {
  BufferBuilder builder;
  builder.release({.address = 8, .bytes = 100, .time_ns = 30});                     // 0
  builder.allocate({.address = 8, .bytes = 100, .time_ns = 10, .correlation = 5});  // 1
  builder.call(5).external(5, 77).external(5, 12, 3);
  const ActivityBooks books = books_of(builder);
  CHECK(books.pairs ==
        std::vector<AllocationPair>{
            {.allocation_index = 1, .release_index = 0, .bytes = 100, .lifetime_ns = 20}});
  REQUIRE(books.memory_records.size() == 2);
  const MemoryRecordMeaning& allocation = books.memory_records[1];
  CHECK(allocation.api_index == 2);
  REQUIRE(allocation.external.size() == 2);  // by kind
  CHECK(allocation.external[0].external_id == 12);
  CHECK(allocation.external[1].external_id == 77);
  CHECK(!books.memory_records[0].api_index);
}

TEST_CASE("activity books: of several ids of one kind the last counts") {
  BufferBuilder builder;
  builder.external(5, 1).external(5, 2).call(5).allocate({.address = 8, .correlation = 5});
  const ActivityBooks books = books_of(builder);
  REQUIRE(books.memory_records.at(0).external.size() == 1);
  CHECK(books.memory_records[0].external[0].external_id == 2);
}

TEST_CASE("activity books: correlation id 0 joins nothing") {
  BufferBuilder builder;
  builder.external(0, 77).call(0).allocate({.address = 8, .bytes = 1});
  const ActivityBooks books = books_of(builder);
  CHECK(!books.memory_records.at(0).api_index);
  CHECK(books.memory_records.at(0).external.empty());
}

TEST_CASE("activity books: an address is used again, and each kind has its own addresses") {
  BufferBuilder builder;
  builder.allocate({.address = 8, .bytes = 100, .time_ns = 1})
      .release({.address = 8, .bytes = 100, .time_ns = 2})
      .allocate({.address = 8, .bytes = 40, .time_ns = 3})
      .release({.address = 8, .bytes = 7, .time_ns = 4, .kind = 2});
  const ActivityBooks books = books_of(builder);
  CHECK(books.pairs.size() == 1);
  CHECK(books.never_released == Indices{2});
  CHECK(books.releases_without_allocation == Indices{3});
  CHECK(books.live_at_end_bytes[kDevice] == 40);
  CHECK(books.peak_live_bytes[kDevice] == 100);
}

TEST_CASE("activity books: one thread takes the address that another gives back meanwhile") {
  // The new owner's call begins first and ends last; or it begins and ends within the release's.
  for (const auto& [begin, end] : {std::pair{100, 130}, std::pair{115, 118}}) {
    BufferBuilder builder;
    builder.allocate({.address = 8, .bytes = 100, .time_ns = 10, .correlation = 1}).call(1);
    builder.u64(layout::api::kStart, 10).u64(layout::api::kEnd, 20);
    builder.allocate({.address = 8,
                      .bytes = 40,
                      .time_ns = static_cast<std::uint64_t>(begin),
                      .correlation = 2});
    builder.call(2)
        .u64(layout::api::kStart, static_cast<std::uint64_t>(begin))
        .u64(layout::api::kEnd, static_cast<std::uint64_t>(end));
    builder.release({.address = 8, .bytes = 100, .time_ns = 110, .correlation = 3}).call(3);
    builder.u64(layout::api::kStart, 110).u64(layout::api::kEnd, 120);
    const ActivityBooks books = books_of(builder);
    CHECK(books.pairs ==
          std::vector<AllocationPair>{
              {.allocation_index = 0, .release_index = 4, .bytes = 100, .lifetime_ns = 100}});
    CHECK(books.never_released == Indices{2});
    CHECK(books.releases_missed.empty());
  }
}

TEST_CASE("activity books: where the runtime made the driver's call, the runtime's counts") {
  BufferBuilder builder;
  builder.record(ActivityKind::driver).u32(layout::api::kCorrelationId, 5).call(5);
  builder.record(ActivityKind::driver).u32(layout::api::kCorrelationId, 5);
  builder.allocate({.address = 8, .bytes = 1, .correlation = 5});
  CHECK(books_of(builder).memory_records.at(0).api_index == 1);
}

TEST_CASE("activity books: a release that was lost ends when its address is given out again") {
  BufferBuilder builder;
  builder.allocate({.address = 8, .bytes = 100, .time_ns = 1})
      .allocate({.address = 8, .bytes = 40, .time_ns = 2})
      .release({.address = 8, .bytes = 40, .time_ns = 3});
  const ActivityBooks books = books_of(builder);
  CHECK(books.releases_missed == Indices{0});
  CHECK(books.never_released.empty());
  CHECK(books.live_at_end_bytes[kDevice] == 0);
  CHECK(books.peak_live_bytes[kDevice] == 100);
}

TEST_CASE("activity books: damaged records are told of and counted nowhere") {
  BufferBuilder builder;
  builder.allocate({.address = 8, .bytes = kMostActivityBytes + 1, .time_ns = 1});
  builder.record(ActivityKind::memory).u32(layout::memory::kOperation, 9);
  builder.allocate({.address = 16, .bytes = 5, .kind = 4000});  // a kind that CUPTI has not
  const ActivityBooks books = books_of(builder);
  CHECK(books.damaged == Indices{0, 1});
  CHECK(books.live_at_end_bytes[0] == 5);
  CHECK(books.peak_live_bytes[kDevice] == 0);
}

TEST_CASE("activity books: sums that could not be counted stop before they overflow") {
  BufferBuilder builder;
  for (std::uint64_t i = 0; i < 200; ++i) {
    builder.allocate({.address = i, .bytes = kMostActivityBytes, .time_ns = i});
  }
  const ActivityBooks books = books_of(builder);
  CHECK(books.damaged.size() == 200 - 127);
  CHECK(books.peak_live_bytes[kDevice] == 127 * static_cast<std::int64_t>(kMostActivityBytes));
}

TEST_CASE("activity books: a call that failed is told of") {
  BufferBuilder builder;
  builder.call(1).call(2, 2);
  CHECK(books_of(builder).failed_api_calls == Indices{1});
}

// Against books kept while the events are made.
TEST_CASE("activity books: random operations, given in any order, balance") {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    std::map<std::uint64_t, std::uint64_t> live;
    std::int64_t sum = 0, peak = 0, paired = 0;
    std::vector<Activity> records;
    for (std::uint64_t time = 1; time <= 200; ++time) {
      const std::uint64_t address = random() % 20;
      MemoryActivity memory{.memory_kind = MemoryKind::device, .address = address, .time_ns = time};
      if (const auto found = live.find(address); found != live.end()) {
        memory.operation = MemoryOperation::release;
        memory.bytes = found->second;
        sum -= static_cast<std::int64_t>(found->second);
        live.erase(found);
        ++paired;
      } else {
        memory.bytes = random() % 1000;
        sum += static_cast<std::int64_t>(memory.bytes);
        live.emplace(address, memory.bytes);
      }
      peak = std::max(peak, sum);
      records.emplace_back(memory);
    }
    std::shuffle(records.begin(), records.end(), random);
    const ActivityBooks books = activity_books(records);
    CHECK(books.live_at_end_bytes[kDevice] == sum);
    CHECK(books.peak_live_bytes[kDevice] == peak);
    CHECK(std::ssize(books.pairs) == paired);
    CHECK(books.never_released.size() == live.size());
    CHECK(books.releases_without_allocation.empty());
    CHECK(books.releases_missed.empty());
  }
}

}  // namespace
}  // namespace sbp::profiler
