#include <doctest/doctest.h>

#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "profiler/record_buffer.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

Record record_at(std::uint64_t address) {
  return {.address = address};
}

TEST_CASE("a record buffer keeps records in the order they were appended") {
  RecordBuffer buffer(3);
  CHECK(buffer.records().empty());
  CHECK(buffer.append(record_at(7)));
  CHECK(buffer.append(record_at(5)));
  REQUIRE(buffer.records().size() == 2);
  CHECK(buffer.records()[0].address == 7);
  CHECK(buffer.records()[1].address == 5);
  CHECK(buffer.dropped() == 0);
  CHECK(buffer.capacity() == 3);
}

TEST_CASE("a full record buffer refuses and counts") {
  RecordBuffer buffer(2);
  CHECK(buffer.append(record_at(1)));
  CHECK(buffer.append(record_at(2)));
  CHECK_FALSE(buffer.append(record_at(3)));
  CHECK_FALSE(buffer.append(record_at(4)));
  REQUIRE(buffer.records().size() == 2);
  CHECK(buffer.records()[1].address == 2);
  CHECK(buffer.dropped() == 2);
  buffer.clear();
  CHECK(buffer.records().empty());
  CHECK(buffer.dropped() == 0);
  CHECK(buffer.append(record_at(9)));
  CHECK(buffer.records()[0].address == 9);
}

TEST_CASE("a record buffer of capacity 0 drops everything") {
  RecordBuffer buffer(0);
  CHECK_FALSE(buffer.append(record_at(1)));
  CHECK(buffer.dropped() == 1);
  CHECK(buffer.records().empty());
}

TEST_CASE("an impossible capacity is an error that names it") {
  CHECK_THROWS_WITH_AS(RecordBuffer(-1), "making a record buffer: capacity '-1' must be at least 0",
                       Error);
  CHECK_THROWS_AS(RecordBuffer(std::int64_t{1} << 62), Error);
}

TEST_CASE("threads appending at once lose nothing and keep their own order") {
  constexpr int kThreads = 4;
  constexpr std::uint64_t kEach = 50'000;
  constexpr std::int64_t kCapacity = 170'000;  // fewer than are appended
  RecordBuffer buffer(kCapacity);
  // Several rounds: on a busy machine the threads of one may run one after the other.
  for (int round = 0; round < 10; ++round) {
    buffer.clear();
    std::latch start(kThreads);
    std::vector<std::thread> writers;
    for (std::uint16_t thread = 0; thread < kThreads; ++thread) {
      writers.emplace_back([&buffer, &start, thread] {
        start.arrive_and_wait();
        for (std::uint64_t i = 0; i < kEach; ++i) buffer.append({.address = i, .thread = thread});
      });
    }
    for (std::thread& writer : writers) writer.join();
    REQUIRE(buffer.records().size() == kCapacity);
    CHECK(buffer.dropped() == kThreads * static_cast<std::int64_t>(kEach) - kCapacity);
    std::vector<std::uint64_t> next(kThreads, 0);
    bool in_order = true;
    for (const Record& record : buffer.records()) {
      in_order = in_order && record.address == next[record.thread]++;
    }
    CHECK(in_order);
  }
}

}  // namespace
}  // namespace sbp::profiler
