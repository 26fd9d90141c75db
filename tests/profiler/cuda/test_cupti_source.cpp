#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "profiler/cuda/activity_books.h"
#include "profiler/cuda/cupti_source.h"
#include "sbp/base/error.h"
#include "tests/profiler/cuda/buffer_builder.h"
#include "tests/profiler/cuda/fake_cupti.h"
#include "tests/skip.h"

namespace sbp::profiler {
namespace {

using tests::BufferBuilder;
using tests::FakeCupti;

const CuptiSourceOptions kSmall{.buffers = {.buffer_bytes = 1024, .most_buffers = 3}};

BufferBuilder some_records(std::uint64_t address = 8) {
  BufferBuilder builder;
  builder.external(5, 77).call(5).allocate(
      {.address = address, .bytes = 100, .time_ns = 1000, .correlation = 5});
  return builder;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("cupti source: records come from buffers handed out during the run and by the flush") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  CHECK(cupti.enabled.size() == 5);
  CHECK(cupti.enabled.contains(ActivityKind::memory));
  CHECK(!cupti.enabled.contains(ActivityKind::driver));
  CHECK(cupti.fill(some_records().bytes()) == 1024);
  cupti.fill(some_records(16).bytes(), FakeCupti::Hand::with_flush);
  const CuptiTrace trace = source.stop();
  CHECK(trace.records.size() == 6);
  CHECK(trace.first_problem == "");
  CHECK(!cupti.stuck);
  CHECK(cupti.enabled.empty());
  CHECK(cupti.count("unsubscribe") == 1);
  CHECK(std::get<MemoryActivity>(trace.records[2]).time_ns == 1000);
  CHECK(activity_books(trace.records).never_released.size() == 2);
}

TEST_CASE("cupti source: a buffer of the size that was asked for, four MiB by default") {
  FakeCupti cupti;
  CuptiSource source(cupti);
  REQUIRE(source.start());
  CHECK(cupti.fill({}) == std::size_t{4} << 20);
  source.stop();
}

TEST_CASE("cupti source: it can run again") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  for (int run = 0; run < 3; ++run) {
    REQUIRE(source.start());
    CHECK(source.start());  // already
    cupti.fill(some_records().bytes());
    CHECK(source.stop().records.size() == 3);
    CHECK(source.stop().records.empty());  // not running
  }
  CHECK(cupti.count("register_buffers") == 1);
}

TEST_CASE(
    "cupti source: libraries that ask and the driver's allocations are recorded while it runs") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  CHECK(cupti.tracks_sources);
  CHECK(cupti.driver_calls.size() == kDriverAllocations.size());
  CHECK(cupti.driver_calls.contains(598));  // cuMemAllocAsync
  // CUPTI is told before the first record can come.
  CHECK(std::ranges::find(cupti.calls, "track_sources") < std::ranges::find(cupti.calls, "enable"));
  CHECK(source.stop().complete());
  CHECK(!cupti.tracks_sources);
  CHECK(cupti.driver_calls.empty());
}

TEST_CASE("cupti source: without names or layers it runs, and the trace says what is missing") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"track_sources",
       "CUPTI does not tell which library asked for memory (status 15: words for 15)"},
      {"record_driver_call",
       "CUPTI does not tell for which layer the driver's own functions gave memory (status 15: "
       "words for 15)"}};
  for (const auto& [call, sentence] : cases) {
    FakeCupti cupti;
    cupti.status[call] = kCuptiNotInitialized;
    CuptiSource source(cupti, kSmall);
    REQUIRE(source.start());
    cupti.fill(some_records().bytes());
    const CuptiTrace trace = source.stop();
    CHECK(trace.records.size() == 3);
    CHECK(trace.first_problem == sentence);
    CHECK(cupti.count("track_sources") == (call == "track_sources" ? 1 : 2));
    cupti.status.clear();
    REQUIRE(source.start());
    CHECK(source.stop().complete());
  }
}

TEST_CASE("cupti source: no driver is decided once, whoever says it, and CUPTI is left alone") {
  for (const CuptiStatus status : {kCuptiUnknown, kCuptiNotInitialized}) {
    for (const std::string call : {"version", "subscribe"}) {
      CAPTURE(call);
      FakeCupti cupti;
      cupti.status[call] = status;
      CuptiSource source(cupti, kSmall);
      CHECK(!source.start());
      CHECK(contains(source.reason(),
                     "no NVIDIA driver answers (status " + std::to_string(status) + ")"));
      const auto calls = cupti.calls;
      CHECK(calls.back() == call);
      for (int again = 0; again < 3; ++again) {
        CHECK(!source.start());
        source.push(1);
        source.pop();
        CHECK(source.stop().records.empty());
      }
      CHECK(cupti.calls == calls);
    }
  }
}

TEST_CASE("cupti source: any other status is told with its words, and what was begun is undone") {
  for (const CuptiStatus status :
       {1, 2, 12, 33, kCuptiNotPermitted, 40, -3, 424242, kCuptiUnknown, kCuptiNotInitialized}) {
    for (const std::string call :
         {"version", "subscribe", "register_buffers", "enable", "enable 39", "enable 17"}) {
      const bool was_subscribed = call != "version" && call != "subscribe";
      // Before that, these two mean that there is no driver.
      if (!was_subscribed && (status == kCuptiUnknown || status == kCuptiNotInitialized)) continue;
      CAPTURE(call);
      FakeCupti cupti;
      cupti.status[call] = status;
      CuptiSource source(cupti, kSmall);
      CHECK(!source.start());
      CHECK(contains(source.reason(), "failed with status " + std::to_string(status)));
      CHECK(contains(source.reason(), "words for " + std::to_string(status)));
      CHECK(cupti.enabled.empty());
      CHECK(cupti.driver_calls.empty());
      CHECK(!cupti.tracks_sources);
      CHECK(cupti.count("unsubscribe") == (was_subscribed ? 1 : 0));
      const auto calls = cupti.calls;
      CHECK(!source.start());
      CHECK(cupti.calls == calls);
    }
  }
}

TEST_CASE("cupti source: another profiler is named") {
  FakeCupti cupti;
  cupti.status["subscribe"] = kCuptiHasSubscriber;
  cupti.holder = "Nsight Systems";
  CuptiSource source(cupti, kSmall);
  CHECK(!source.start());
  CHECK(contains(source.reason(), "another profiler ('Nsight Systems') holds it"));
}

TEST_CASE("cupti source: a library of another version is refused before anything is asked of it") {
  FakeCupti cupti;
  cupti.library = 130100;
  CuptiSource source(cupti, kSmall);
  CHECK(!source.start());
  CHECK(contains(source.reason(), "of API version 130100, this build reads"));
  CHECK(contains(source.reason(), "130001"));
  CHECK(cupti.calls == std::vector<std::string>{"version"});
}

TEST_CASE("cupti source: what fails at the end is told, and the records are kept") {
  for (const std::string call : {"flush", "dropped_records", "disable", "unsubscribe"}) {
    CAPTURE(call);
    FakeCupti cupti;
    CuptiSource source(cupti, kSmall);
    REQUIRE(source.start());
    cupti.fill(some_records().bytes());
    cupti.status[call] = kCuptiUnknown;
    const CuptiTrace trace = source.stop();
    CHECK(trace.records.size() == 3);
    CHECK(trace.complete() == (call != "flush"));
    if (call == "flush") CHECK(contains(trace.first_problem, "flushing failed with status 999"));
  }
}

TEST_CASE("cupti source: records that CUPTI dropped are counted, of each context and stream") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  int context = 0;
  cupti.context = &context;
  cupti.stream = 7;
  cupti.fill(some_records().bytes());
  cupti.dropped = 12;
  const CuptiTrace trace = source.stop();
  CHECK(trace.dropped_records == 12);
  CHECK(cupti.count("dropped_records") == 2);  // of the process and of (context, 7)
  CHECK(trace.first_problem == "CUPTI lost 12 records, so what PyTorch does not see is inexact");
}

TEST_CASE("cupti source: when the pool is used up the oldest filled buffer goes, and is counted") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  for (std::uint64_t i = 0; i < 10; ++i) cupti.fill(some_records(i).bytes());
  const CuptiTrace trace = source.stop();
  // The flush asks for one more buffer.
  CHECK(std::ssize(trace.records) + trace.dropped_records == 10 * 3);
  CHECK(trace.dropped_records == 8 * 3);
  CHECK(std::get<MemoryActivity>(trace.records.back()).address == 9);
}

TEST_CASE("cupti source: with every buffer in CUPTI's hands it still gets one, never null") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  for (std::uint64_t i = 0; i < 10; ++i) {
    CHECK(cupti.fill(some_records(i).bytes(), FakeCupti::Hand::with_flush) == 1024);
  }
  const CuptiTrace trace = source.stop();
  CHECK(std::ssize(trace.records) + trace.dropped_records == 10 * 3);
  CHECK(trace.records.size() >= 3 * 3);
}

TEST_CASE("cupti source: callbacks from many threads while it starts, runs and stops") {
  FakeCupti cupti;
  CuptiSource source(cupti, {.buffers = {.buffer_bytes = 4096, .most_buffers = 64}});
  REQUIRE(source.start());
  std::atomic<std::int64_t> filled{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 10; ++i) {
        source.push(t);
        cupti.fill(some_records(t * 100 + i).bytes());
        source.pop();
        ++filled;
      }
    });
  }
  while (filled < 3) std::this_thread::yield();
  std::int64_t records = std::ssize(source.stop().records);  // in the middle
  for (std::thread& thread : threads) thread.join();
  CHECK(records >= 3 * 3);
  CHECK(records <= 40 * 3);
  CHECK(!cupti.stuck);
  for (const auto& [thread, open] : cupti.ids) CHECK(open.empty());
}

TEST_CASE("cupti source: buffers that come when it has stopped, or is gone, do no harm") {
  FakeCupti cupti;
  {
    CuptiSource source(cupti, kSmall);
    REQUIRE(source.start());
    cupti.fill(some_records().bytes(), FakeCupti::Hand::with_flush);
    source.stop();
    CHECK(cupti.fill(some_records().bytes()) > 0);
    REQUIRE(source.start());
    CHECK(source.stop().records.empty());
  }
  CHECK(cupti.fill(some_records().bytes()) > 0);
  cupti.flush();
  CHECK(!cupti.stuck);
}

TEST_CASE("cupti source: one at a time") {
  FakeCupti cupti, other;
  CuptiSource first(cupti, kSmall);
  CuptiSource second(other, kSmall);
  REQUIRE(first.start());
  CHECK_THROWS_WITH_AS(second.start(), "starting a CUPTI trace: another one runs; stop it first",
                       Error);
  cupti.fill(some_records().bytes());
  CHECK(first.stop().records.size() == 3);
  CHECK(second.start());
}

TEST_CASE("cupti source: a buffer cut off inside a record, or of an unknown kind, is told of") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  cupti.fill(some_records().bytes().first(24 + 40 + 52));
  BufferBuilder unknown;
  unknown.call(1).record(9999);
  cupti.fill(unknown.bytes());
  const CuptiTrace trace = source.stop();
  CHECK(trace.records.size() == 3);
  CHECK(trace.truncated_buffers == 1);
  CHECK(trace.unreadable_buffers == 1);
  CHECK(trace.first_problem == "a buffer of CUPTI's ends inside a record, 52 bytes into it");
}

TEST_CASE("cupti source: scopes are pushed by each thread and popped by the one that pushed") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  source.push(1);  // nothing runs
  REQUIRE(source.start());
  source.pop();  // of the scope above: not CUPTI's
  source.push(10);
  std::thread([&] {
    source.push(20);
    CHECK(cupti.ids[std::this_thread::get_id()] == std::vector<std::uint64_t>{20});
    source.pop();
    source.pop();  // one too many
  }).join();
  CHECK(cupti.ids[std::this_thread::get_id()] == std::vector<std::uint64_t>{10});
  source.stop();
  source.pop();  // left after the trace: the next trace must not find it
  CHECK(cupti.ids[std::this_thread::get_id()].empty());
  CHECK(cupti.count("pop") == 2);
}

TEST_CASE("cupti source: a scope that CUPTI does not take is counted") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  cupti.status["push"] = 1;
  source.push(1);
  source.pop();
  const CuptiTrace trace = source.stop();
  CHECK(trace.failed_pushes == 1);
  CHECK(contains(trace.first_problem, "CUPTI did not take 1 scopes"));
  CHECK(cupti.count("pop") == 0);
}

TEST_CASE("cupti source: a scope inside that CUPTI does not take leaves the one around it open") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  const auto& open = cupti.ids[std::this_thread::get_id()];
  source.push(1);
  cupti.status["push"] = 1;
  source.push(2);
  cupti.status.clear();
  source.push(3);  // CUPTI would take it, and then it had to be popped before 2
  source.pop();
  source.pop();
  CHECK(open == std::vector<std::uint64_t>{1});
  source.push(4);
  CHECK(open == std::vector<std::uint64_t>{1, 4});
  source.pop();
  source.pop();
  CHECK(open.empty());
  CHECK(source.stop().failed_pushes == 2);
}

TEST_CASE("cupti source: a scope entered after the trace takes none away that is older") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  source.push(1);
  source.stop();
  source.push(2);
  source.pop();
  CHECK(cupti.count("pop") == 0);
  source.pop();
  CHECK(cupti.count("pop") == 1);
}

TEST_CASE("cupti source: the trace says from when to when CUPTI ran") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  CHECK(source.stop().end_ns == 0);
  const auto now = [] {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  };
  const std::uint64_t before = now();
  REQUIRE(source.start());
  const std::uint64_t during = now();
  const CuptiTrace trace = source.stop();
  CHECK(before <= trace.start_ns);
  CHECK(trace.start_ns <= during);
  CHECK(during <= trace.end_ns);
  CHECK(trace.end_ns <= now());
}

TEST_CASE("cupti source: CUPTI is given the tracer's clock") {
  FakeCupti cupti;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  const auto ns = [](auto time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
  };
  const std::uint64_t before = ns(std::chrono::steady_clock::now());
  const std::uint64_t theirs = cupti.clock_now();
  const std::uint64_t after = ns(std::chrono::steady_clock::now());
  CHECK(before <= theirs);
  CHECK(theirs <= after);
  source.stop();
  CHECK(cupti.count("timestamp") == 0);
}

TEST_CASE("cupti source: a CUPTI that keeps its own clock has its times shifted to ours") {
  constexpr std::uint64_t kAhead = 1'700'000'000'000'000'000;
  FakeCupti cupti;
  cupti.status["register_clock"] = 2;
  cupti.ahead_ns = kAhead;
  CuptiSource source(cupti, kSmall);
  REQUIRE(source.start());
  BufferBuilder builder;
  builder.allocate({.address = 8, .bytes = 1, .time_ns = kAhead + 5'000'000'000});
  cupti.fill(builder.bytes());
  const CuptiTrace trace = source.stop();
  const auto shifted =
      static_cast<std::int64_t>(std::get<MemoryActivity>(trace.records.at(0)).time_ns);
  CHECK(std::abs(shifted - 5'000'000'000) < 1'000'000'000);  // as exact as two looks at a clock
}

// The library itself, where it is. With a GPU it is tested by running it (docs/cuda.md).
TEST_CASE("cupti: the real library without a driver says so, once") {
  if (std::filesystem::exists("/proc/driver/nvidia/version")) SBP_SKIP("this machine has a driver");
  const LoadedCupti loaded = load_cupti(SBP_CUPTI_LIBRARY);
  if (loaded.api == nullptr) SBP_SKIP("CUPTI: " + loaded.reason);
  CuptiSource source(*loaded.api, kSmall);
  CHECK(!source.start());
  CHECK(source.reason() ==
        "CUPTI: no NVIDIA driver answers (status 999), so nothing beside PyTorch's own memory is "
        "seen");
  CHECK(!source.start());
  source.push(1);
  source.pop();
  CHECK(source.stop().records.empty());
}

TEST_CASE("cupti: a library that is not there or is another is told of") {
  const LoadedCupti none = load_cupti("libno-such-cupti.so.13");
  CHECK(none.api == nullptr);
  CHECK(!none.reason.empty());
  const LoadedCupti other = load_cupti("libz.so.1");
  CHECK(other.api == nullptr);
  CHECK(!other.reason.empty());
}

}  // namespace
}  // namespace sbp::profiler
