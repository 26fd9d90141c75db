#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "profiler/cuda/cuda_books.h"
#include "tests/profiler/cuda/allocator_trace_builder.h"

namespace sbp::profiler {
namespace {

using tests::AllocatorTraceBuilder;
using tests::kMiB;
constexpr std::uint64_t kA = 0x10000000;  // a segment's address
constexpr std::uint64_t kB = 0x80000000;  // another's

// The allocator's counters, from what the books come to at the end: for traces whose point is not
// the comparison of the two.
void agree(AllocatorTrace& trace) {
  const AllocatorBytes end = cuda_books(trace, {}).end.allocator;
  trace.counters_at_end = {.requested_bytes = end.requested,
                           .allocated_bytes = end.blocks(),
                           .active_bytes = end.blocks() + end.awaiting,
                           .reserved_bytes = end.reserved};
}

MemoryActivity driver_memory(MemoryOperation operation, std::uint64_t address, std::int64_t bytes,
                             std::uint64_t time_ns) {
  MemoryActivity memory;
  memory.operation = operation;
  memory.memory_kind = MemoryKind::device;
  memory.address = address;
  memory.bytes = static_cast<std::uint64_t>(bytes);
  memory.time_ns = time_ns;
  return memory;
}

// A CUPTI that ran and has told of nothing.
CuptiTrace ran(std::uint64_t start_ns, std::uint64_t end_ns) {
  CuptiTrace cupti;
  cupti.start_ns = start_ns;
  cupti.end_ns = end_ns;
  return cupti;
}

TEST_CASE("cuda books: a small segment is split down to 512 bytes, and what is free is cached") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 2 * kMiB).allocate(kA, 1000).allocate(kA + 1024, 1).free(kA);
  AllocatorTrace& trace = builder.trace();
  trace.counters_at_end = {.requested_bytes = 1,
                           .allocated_bytes = 512,
                           .active_bytes = 512,
                           .reserved_bytes = 2 * kMiB};
  const CudaBooks books = cuda_books(trace, {});
  CHECK(books.first_problem == "");
  CHECK(books.balanced);
  CHECK(books.end.allocator ==
        AllocatorBytes{
            .requested = 1, .rounding = 511, .cached = 2 * kMiB - 512, .reserved = 2 * kMiB});
  CHECK(books.requested_peak.allocator == AllocatorBytes{.requested = 1001,
                                                         .rounding = 24 + 511,
                                                         .cached = 2 * kMiB - 1536,
                                                         .reserved = 2 * kMiB});
  CHECK(books.requested_peak.event == 2);
}

TEST_CASE("cuda books: a large segment is split where more than 1 MiB would remain, else whole") {
  for (const std::int64_t left : {kMiB, kMiB + 512}) {
    AllocatorTraceBuilder builder;
    builder.segment(kA, 20 * kMiB).allocate(kA, 20 * kMiB - left);
    agree(builder.trace());
    const CudaBooks books = cuda_books(builder.trace(), {});
    CHECK(books.balanced);
    CHECK(books.end.allocator.rounding == (left == kMiB ? kMiB : 0));
    CHECK(books.end.allocator.cached == (left == kMiB ? 0 : left));
  }
}

TEST_CASE("cuda books: rounding by powers hides block sizes, not what was asked for") {
  // Blocks of 6144 bytes for requests of 5200, which events do not tell of.
  AllocatorTraceBuilder builder;
  builder.segment(kA, 2 * kMiB);
  for (std::uint64_t i = 0; i < 10; ++i) builder.allocate(kA + 6144 * i, 5200);
  CHECK(cuda_books(builder.trace(), {}).problems > 10);  // not without the option
  builder.trace().rounds_by_powers = true;
  builder.trace().counters_at_end = {.requested_bytes = 52'000,
                                     .allocated_bytes = 61'440,
                                     .active_bytes = 61'440,
                                     .reserved_bytes = 2 * kMiB};
  const CudaBooks books = cuda_books(builder.trace(), {});
  CHECK(books.end.allocator.requested == 52'000);
  CHECK(books.end.allocator.reserved == 2 * kMiB);
  CHECK(books.problems == 1);
  CHECK(books.first_problem.find("the allocator's roundup_power2_divisions is set") == 0);
  // One in the middle goes, and its block is given out again, and then all of them at once.
  builder.free(kA + 6144 * 4).allocate(kA + 6144 * 4, 6000);
  for (std::uint64_t i = 0; i < 10; ++i) builder.free(kA + 6144 * i);
  builder.allocate(kA, 2 * kMiB);
  builder.trace().counters_at_end.requested_bytes = 2 * kMiB;
  const CudaBooks last = cuda_books(builder.trace(), {});
  CHECK(last.problems == 1);
  CHECK(last.requested_peak.allocator.requested == 2 * kMiB);
}

TEST_CASE("cuda books: blocks too large to be split keep all of theirs") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 64 * kMiB).allocate(kA, 40 * kMiB);
  builder.trace().max_split_bytes = 32 * kMiB;
  CHECK(cuda_books(builder.trace(), {}).end.allocator.rounding == 24 * kMiB);
}

TEST_CASE("cuda books: a block that another stream uses awaits, and is nobody's") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 20 * kMiB).allocate(kA, 10 * kMiB).free_requested(kA);
  agree(builder.trace());
  const CudaBooks waiting = cuda_books(builder.trace(), {});
  CHECK(waiting.balanced);
  CHECK(waiting.end.allocator ==
        AllocatorBytes{.awaiting = 10 * kMiB, .cached = 10 * kMiB, .reserved = 20 * kMiB});
  builder.free_completed(kA).segment_free(kA, 20 * kMiB);
  agree(builder.trace());
  const CudaBooks gone = cuda_books(builder.trace(), {});
  CHECK(gone.first_problem == "");
  CHECK(gone.end.allocator == AllocatorBytes{});
  CHECK(gone.reserved_peak.allocator.reserved == 20 * kMiB);
}

TEST_CASE("cuda books: expandable segments grow, are split to 512 bytes and shrink in parts") {
  AllocatorTraceBuilder builder;
  builder.map(kA, 2 * kMiB).map(kA + 2 * kMiB, 20 * kMiB);
  builder.allocate(kA, 22 * kMiB - 512);  // across both: they are one
  builder.free(kA).unmap(kA + 4 * kMiB, 2 * kMiB);
  builder.allocate(kA, 4 * kMiB);
  agree(builder.trace());
  const CudaBooks books = cuda_books(builder.trace(), {});
  CHECK(books.first_problem == "");
  CHECK(books.requested_peak.allocator ==
        AllocatorBytes{.requested = 22 * kMiB - 512, .cached = 512, .reserved = 22 * kMiB});
  CHECK(books.end.allocator ==
        AllocatorBytes{.requested = 4 * kMiB, .cached = 16 * kMiB, .reserved = 20 * kMiB});
}

TEST_CASE("cuda books: memory mapped between two mapped parts joins them") {
  AllocatorTraceBuilder builder;
  builder.map(kA, 2 * kMiB).map(kA + 4 * kMiB, 2 * kMiB).map(kA + 2 * kMiB, 2 * kMiB);
  builder.allocate(kA, 6 * kMiB);
  agree(builder.trace());
  CHECK(cuda_books(builder.trace(), {}).first_problem == "");
}

TEST_CASE("cuda books: what the allocator held when the trace began is in them") {
  AllocatorTraceBuilder builder;
  AllocatorTrace& trace = builder.trace();
  using State = AllocatorBlock::State;
  trace.segments.push_back({.address = kA,
                            .bytes = 2 * kMiB,
                            .is_small = true,
                            .blocks = {{512, 100, State::allocated},
                                       {512, 200, State::awaiting},
                                       {2 * kMiB - 1024, 0, State::free}}});
  builder.free_completed(kA + 512).free(kA).allocate(kA, 2 * kMiB);
  agree(trace);
  const CudaBooks books = cuda_books(trace, {});
  CHECK(books.first_problem == "");
  CHECK(books.end.allocator == AllocatorBytes{.requested = 2 * kMiB, .reserved = 2 * kMiB});
}

TEST_CASE("cuda books: a segment that CUPTI saw as well is counted once, as PyTorch's") {
  AllocatorTraceBuilder builder;
  CuptiTrace cupti;
  // The driver gives, then the allocator logs; the allocator logs, then the driver takes back.
  cupti.records.emplace_back(
      driver_memory(MemoryOperation::allocation, kA, 20 * kMiB, builder.next_time() - 1));
  builder.segment(kA, 20 * kMiB).allocate(kA, 20 * kMiB).free(kA).segment_free(kA, 20 * kMiB);
  cupti.records.emplace_back(
      driver_memory(MemoryOperation::release, kA, 20 * kMiB, builder.next_time() - 9));
  // The same address, for somebody else: a library's workspace of another size.
  auto library = driver_memory(MemoryOperation::allocation, kA, 4 * kMiB, builder.next_time() - 8);
  library.correlation_id = 9;
  library.source = "/lib/libcudnn.so";
  cupti.records.emplace_back(library);
  cupti.records.emplace_back(ApiActivity{.callback_id = 20, .correlation_id = 9});
  cupti.records.emplace_back(
      ExternalActivity{.external_kind = kOurExternalKind, .external_id = 3, .correlation_id = 9});
  builder.segment(kB, 2 * kMiB);
  agree(builder.trace());
  builder.trace().device_used_bytes = 2 * kMiB + 4 * kMiB + 300 * kMiB;

  const CudaBooks books = cuda_books(builder.trace(), cupti);
  CHECK(books.first_problem == "");
  CHECK(books.balanced);
  CHECK(books.segments_matched == 1);
  REQUIRE(books.unseen.size() == 1);
  CHECK(books.unseen[0].bytes == 4 * kMiB);
  CHECK(books.unseen[0].external_id == 3);
  CHECK(books.unseen[0].callback_id == 20);
  CHECK(books.unseen[0].name == "/lib/libcudnn.so");
  CHECK(books.reserved_peak.unseen == 0);
  CHECK(books.end.unseen == 4 * kMiB);
  CHECK(books.nameless_bytes == 300 * kMiB);
}

TEST_CASE("cuda books: a segment that came and went before the trace is PyTorch's as well") {
  AllocatorTraceBuilder builder;
  CuptiTrace cupti = ran(1, 10'000);
  // Given back in a warm-up step; the driver then gives the address to a library.
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kA, 512 * kMiB, 100));
  cupti.records.emplace_back(driver_memory(MemoryOperation::release, kA, 512 * kMiB, 121));
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kA, 4 * kMiB, 130));
  using Action = AllocatorAction;
  builder.trace().earlier_segments = {
      {.action = Action::segment_alloc, .address = kA, .bytes = 512 * kMiB, .time_ns = 110},
      {.action = Action::segment_free, .address = kA, .bytes = 512 * kMiB, .time_ns = 120}};
  const CudaBooks books = cuda_books(builder.trace(), cupti);
  CHECK(books.first_problem == "");
  CHECK(books.segments_matched == 1);
  REQUIRE(books.unseen.size() == 1);
  CHECK(books.unseen[0].bytes == 4 * kMiB);
  CHECK(books.end.allocator == AllocatorBytes{});
}

TEST_CASE("cuda books: a segment that CUPTI did not tell of while it ran is a problem") {
  AllocatorTraceBuilder builder;
  builder.trace().earlier_segments = {
      {.action = AllocatorAction::segment_alloc, .address = kB, .bytes = 2 * kMiB, .time_ns = 500}};
  builder.trace().segments = {{.address = kB, .bytes = 2 * kMiB, .blocks = {{.bytes = 2 * kMiB}}}};
  builder.segment(kA, 20 * kMiB);
  agree(builder.trace());
  const std::uint64_t taken = builder.trace().events[0].time_ns;
  const auto problems = [&](std::uint64_t start, std::uint64_t end) {
    return cuda_books(builder.trace(), ran(start, end)).problems;
  };
  CHECK(problems(0, 0) == 0);  // it did not run
  CHECK(problems(taken + 1, taken + 100) == 0);
  CHECK(problems(400, 500) == 0);
  CHECK(problems(400, 501) == 1);
  CHECK(problems(taken, taken + 1) == 1);
  CuptiTrace cupti = ran(400, taken + 100);
  CHECK(cuda_books(builder.trace(), cupti).problems == 2);
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kB, 2 * kMiB, 490));
  CHECK(cuda_books(builder.trace(), cupti).first_problem ==
        "the allocator took a segment of 20971520 bytes at 0x10000000, of which CUPTI did not tell "
        "while it ran");
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kA, 20 * kMiB, taken - 1));
  const CudaBooks books = cuda_books(builder.trace(), cupti);
  CHECK(books.balanced);
  CHECK(books.segments_matched == 2);
  // Whether CUPTI tells of mapped memory is not known.
  builder.map(kA + 64 * static_cast<std::uint64_t>(kMiB), 2 * kMiB);
  agree(builder.trace());
  CHECK(cuda_books(builder.trace(), cupti).balanced);
}

TEST_CASE("cuda books: damaged records and releases that were missed are problems") {
  AllocatorTraceBuilder builder;
  CuptiTrace cupti;
  cupti.records.emplace_back(driver_memory(MemoryOperation{9}, kA, 100, 1));
  CHECK(cuda_books(builder.trace(), cupti).first_problem ==
        "1 of CUPTI's memory records are damaged: neither an allocation nor a release, or of "
        "absurd size");
  cupti.records.clear();
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kA, 100, 1));
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kA, 100, 2));
  const CudaBooks books = cuda_books(builder.trace(), cupti);
  CHECK(!books.balanced);
  CHECK(books.first_problem ==
        "CUPTI did not tell of the release of 1 allocations whose address was given out again");
  // A release of something older than the trace is none.
  cupti.records.pop_back();
  cupti.records.emplace_back(driver_memory(MemoryOperation::release, kB, 100, 2));
  CHECK(cuda_books(builder.trace(), cupti).balanced);
}

TEST_CASE("cuda books: memory on another device is not of this one") {
  AllocatorTraceBuilder builder;
  builder.trace().device = 1;
  builder.trace().device_used_bytes = 300;
  CuptiTrace cupti;
  for (const std::uint32_t device : {0U, 1U, 2U}) {
    for (const MemoryKind kind : {MemoryKind::device, MemoryKind::array, MemoryKind::pinned}) {
      auto memory = driver_memory(MemoryOperation::allocation, kA + device, 100, 1);
      memory.memory_kind = kind;
      memory.device_id = device;
      cupti.records.emplace_back(memory);
    }
  }
  const CudaBooks books = cuda_books(builder.trace(), cupti);
  CHECK(books.end.unseen == 2 * 100);
  CHECK(books.nameless_bytes == 100);
  CHECK(books.unseen.size() == 2 + 3);  // pinned memory is on no device
}

TEST_CASE("cuda books: parts that were mapped into one reservation of the driver's are its own") {
  AllocatorTraceBuilder builder;
  CuptiTrace cupti;
  cupti.records.emplace_back(driver_memory(MemoryOperation::allocation, kA, 40 * kMiB, 1001));
  builder.map(kA, 2 * kMiB).map(kA + 2 * kMiB, 2 * kMiB);
  agree(builder.trace());
  const CudaBooks books = cuda_books(builder.trace(), cupti);
  CHECK(books.segments_matched == 1);
  CHECK(books.end.unseen == 0);
}

TEST_CASE("cuda books: managed and pinned memory is listed and not in the device's sum") {
  CuptiTrace cupti;
  for (const MemoryKind kind : {MemoryKind::pinned, MemoryKind::managed, MemoryKind::pageable,
                                MemoryKind::array, MemoryKind::device_static}) {
    auto memory = driver_memory(MemoryOperation::allocation, kB, 100, 1005);
    memory.memory_kind = kind;
    cupti.records.emplace_back(memory);
  }
  const CudaBooks books = cuda_books(AllocatorTraceBuilder().trace(), cupti);
  CHECK(books.unseen.size() == 5);
  CHECK(books.end.unseen == 200);
  CHECK(books.unseen_peak_bytes[static_cast<std::size_t>(MemoryKind::pinned)] == 100);
}

TEST_CASE("cuda books: pool memory that is freed and taken again peaks at what lived together") {
  CuptiTrace cupti;
  for (std::uint64_t i = 0; i < 3; ++i) {
    auto memory = driver_memory(MemoryOperation::allocation, kB, 100, 1005 + 10 * i);
    memory.pool.type = PoolType::local;
    cupti.records.emplace_back(memory);
    memory.operation = MemoryOperation::release;
    memory.time_ns += 10;  // when the next one is born
    cupti.records.emplace_back(memory);
  }
  const CudaBooks books = cuda_books(AllocatorTraceBuilder().trace(), cupti);
  CHECK(books.unseen.size() == 3);
  CHECK(books.unseen[0].from_pool);
  CHECK(books.unseen_peak_bytes[static_cast<std::size_t>(MemoryKind::device)] == 100);
  CHECK(books.end.unseen == 0);
}

TEST_CASE("cuda books: the allocator's own counters are held against the replay") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 20 * kMiB).allocate(kA, 10 * kMiB);
  agree(builder.trace());
  CHECK(cuda_books(builder.trace(), {}).balanced);
  const AllocatorCounters right = builder.trace().counters_at_end;
  for (const auto counter :
       {&AllocatorCounters::requested_bytes, &AllocatorCounters::allocated_bytes,
        &AllocatorCounters::active_bytes, &AllocatorCounters::reserved_bytes}) {
    builder.trace().counters_at_end = right;
    builder.trace().counters_at_end.*counter += 512;
    const CudaBooks books = cuda_books(builder.trace(), {});
    CHECK(!books.balanced);
    CHECK(books.problems == 1);
    CHECK(books.first_problem.find("the allocator counts ") == 0);
  }
}

TEST_CASE("cuda books: what cannot be is told of, and the sums still balance") {
  using Action = AllocatorAction;
  const std::vector<std::tuple<Action, std::uint64_t, std::int64_t>> strange = {
      {Action::allocate, 5, 512},         // no segment
      {Action::allocate, kA, 30 * kMiB},  // more than is free
      {Action::allocate, kA, -1},
      {Action::free_requested, kA, 0},  // of nothing
      {Action::free_completed, kA, 0},
      {Action::segment_alloc, kA + 5, 100},  // on top of another
      {Action::segment_alloc, kB, -7},
      {Action::segment_alloc, kB, std::int64_t{1} << 62},
      {Action::segment_alloc, ~std::uint64_t{0} - 5, 100},
      {Action::segment_map, kA, 2 * kMiB},
      {Action::segment_free, kB, 2 * kMiB},
      {Action::segment_free, kA, 30 * kMiB},
      {Action::segment_free, kA, 10 * kMiB},  // a part of one that is whole
      {Action::segment_free, kA + 10 * kMiB, 10 * kMiB},
      {Action::segment_unmap, kA, 20 * kMiB},  // which was not mapped
      {Action::segment_unmap, 1, 1},
      {static_cast<Action>(99), 0, 0},
  };
  for (const auto& [action, address, bytes] : strange) {
    AllocatorTraceBuilder builder;
    builder.segment(kA, 20 * kMiB);
    agree(builder.trace());
    builder.add(action, address, bytes);
    const CudaBooks books = cuda_books(builder.trace(), {});
    CAPTURE(static_cast<int>(action));
    CAPTURE(bytes);
    CHECK(books.problems == 1);
    CHECK(books.end.allocator.balances());
    CHECK(books.end.allocator.reserved == 20 * kMiB);
  }
}

TEST_CASE("cuda books: losses are told of first") {
  AllocatorTraceBuilder builder;
  builder.allocate(5, 5);
  builder.trace().dropped_events = 3;
  CHECK(cuda_books(builder.trace(), {}).first_problem == "3 events of the allocator were lost");
  builder.trace().dropped_events = 0;
  builder.trace().phase_problem = "the books hold too little";
  CHECK(cuda_books(builder.trace(), {}).first_problem == "the books hold too little");
  builder.trace().phase_problem.clear();
  CuptiTrace cupti;
  cupti.first_problem = "CUPTI lost 2 records";
  CHECK(cuda_books(builder.trace(), cupti).first_problem == "CUPTI lost 2 records");
  builder.trace().segments.push_back({.address = kA, .bytes = 100, .blocks = {{50, 0}}});
  CHECK(cuda_books(builder.trace(), {}).problems == 2);
}

TEST_CASE("cuda books: a device that says less than was seen is a problem") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 20 * kMiB);
  agree(builder.trace());
  builder.trace().device_used_bytes = kMiB;
  CHECK(cuda_books(builder.trace(), {}).problems == 1);
}

// PyTorch and somebody else take memory from one driver, at addresses that are soon used again.
// What is expected is counted while the trace is made.
TEST_CASE(
    "cuda books: random traces are exact at both peaks and at the end, nothing counted twice") {
  constexpr std::uint64_t kSlots = 12;
  constexpr std::uint64_t kWorkspaces = std::uint64_t{1} << 40;
  constexpr std::int64_t kSegment = 20 * kMiB;
  std::mt19937_64 random(4);
  for (int round = 0; round < 100; ++round) {
    AllocatorTraceBuilder builder;
    CuptiTrace cupti;
    std::map<std::uint64_t, std::int64_t> tensors;  // by slot: one in each segment
    std::map<std::uint64_t, std::int64_t> others;
    std::int64_t requested = 0, blocks = 0, elsewhere = 0;
    DeviceMoment requested_peak, reserved_peak;
    requested_peak.time_ns = reserved_peak.time_ns = AllocatorTraceBuilder::kStart;
    // After the last event, where it is a new peak.
    const auto look = [&](std::int64_t segments) {
      const std::int64_t reserved = segments * kSegment;
      const DeviceMoment now{.allocator = {.requested = requested,
                                           .rounding = blocks - requested,
                                           .cached = reserved - blocks,
                                           .reserved = reserved},
                             .unseen = elsewhere,
                             .event = std::ssize(builder.trace().events) - 1,
                             .time_ns = builder.next_time() - 10};
      if (requested > requested_peak.allocator.requested) requested_peak = now;
      if (reserved > reserved_peak.allocator.reserved) reserved_peak = now;
    };
    const auto rounded = [](std::int64_t bytes) { return (bytes + 511) / 512 * 512; };
    for (int event = 0; event < 120; ++event) {
      const std::uint64_t slot = random() % kSlots;
      const std::uint64_t address = kA + slot * 64 * static_cast<std::uint64_t>(kMiB);
      const std::int64_t bytes = static_cast<std::int64_t>(random() % (9 * kMiB)) + kMiB;
      const auto driver = [&](MemoryOperation operation, std::int64_t size, std::uint64_t earlier) {
        cupti.records.emplace_back(
            driver_memory(operation, address, size, builder.next_time() - earlier));
      };
      if (const auto gone = tensors.find(slot); gone != tensors.end()) {
        builder.free(address).segment_free(address, kSegment);
        driver(MemoryOperation::release, kSegment, 9);
        requested -= gone->second;
        blocks -= rounded(gone->second);
        tensors.erase(gone);
      } else if (const auto other = others.find(slot); other != others.end()) {
        driver(MemoryOperation::release, other->second, 8);
        elsewhere -= other->second;
        others.erase(other);
        builder.add(AllocatorAction::out_of_memory, 0, 0);  // time goes on
      } else if (random() % 2 == 0) {
        driver(MemoryOperation::allocation, kSegment, 1);
        builder.segment(address, kSegment);
        tensors.emplace(slot, bytes);
        look(std::ssize(tensors));
        // A workspace, taken between the two events and never given back.
        cupti.records.emplace_back(driver_memory(MemoryOperation::allocation,
                                                 kWorkspaces * builder.next_time(), bytes / 2,
                                                 builder.next_time() - 5));
        elsewhere += bytes / 2;
        builder.allocate(address, bytes);
        requested += bytes;
        blocks += rounded(bytes);
        look(std::ssize(tensors));
      } else {
        driver(MemoryOperation::allocation, bytes, 7);
        elsewhere += others.emplace(slot, bytes).first->second;
        builder.add(AllocatorAction::out_of_memory, 0, 0);
      }
    }
    std::shuffle(cupti.records.begin(), cupti.records.end(), random);
    cupti.end_ns = builder.next_time();
    const std::int64_t reserved = std::ssize(tensors) * kSegment;
    builder.trace().counters_at_end = {.requested_bytes = requested,
                                       .allocated_bytes = blocks,
                                       .active_bytes = blocks,
                                       .reserved_bytes = reserved};
    const CudaBooks books = cuda_books(builder.trace(), cupti);
    CHECK(books.first_problem == "");
    CHECK(books.end.allocator == AllocatorBytes{.requested = requested,
                                                .rounding = blocks - requested,
                                                .cached = reserved - blocks,
                                                .reserved = reserved});
    CHECK(books.end.unseen == elsewhere);
    CHECK(books.requested_peak == requested_peak);
    CHECK(books.reserved_peak == reserved_peak);
  }
}

}  // namespace
}  // namespace sbp::profiler
