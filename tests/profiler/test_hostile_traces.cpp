#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>

#include "profiler/ledger.h"
#include "tests/profiler/trace_builder.h"

namespace sbp::profiler {
namespace {

LedgerCheck check_of(const TraceBuilder& builder) {
  return analyse(builder.trace()).ledger;
}

TEST_CASE("a free of what is not live is counted and makes the peak a lower bound") {
  TraceBuilder builder;
  builder.phase(Phase::forward).allocate(0x20, 8);
  builder.add({.address = 0x10, .bytes = 8, .kind = RecordKind::free});
  const MemoryProfile profile = analyse(builder.trace());
  CHECK(profile.ledger ==
        LedgerCheck{.allocate_events = 1,
                    .free_events = 1,
                    .unmatched_frees = 1,
                    .recounts = 1,
                    .peak_is_lower_bound = true,
                    .first_problem = "a block at 0x10 was freed that was not live",
                    .problems = 1});
  CHECK(profile.peak.bytes == 8);
}

TEST_CASE("of several problems the earliest in the trace is named") {
  TraceBuilder builder;
  builder.add({.bytes = 1, .kind = RecordKind::phase});  // the allocator counts a byte too many
  builder.release(3).release(4);
  Trace trace = builder.trace();
  trace.live_at_end_bytes = 2;
  const LedgerCheck check = analyse(trace).ledger;
  CHECK(check.problems == 4);
  CHECK(check.first_problem ==
        "the books hold 0 bytes when the phase 'setup' begins, the allocator counts 1");
  trace.records.erase(trace.records.begin());
  CHECK(analyse(trace).ledger.first_problem == "a release names the save 3, which is not held");
}

TEST_CASE("a second free of a block is unmatched") {
  TraceBuilder builder;
  builder.phase(Phase::forward).allocate(1, 8).free(1);
  builder.add({.address = 1, .bytes = 8, .kind = RecordKind::free});
  CHECK(check_of(builder).unmatched_frees == 1);
}

TEST_CASE("an allocate where another block lives ends that block and is a problem") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).enter(0).allocate(0xabc, 8);
  builder.add({.address = 0xabc, .bytes = 5, .kind = RecordKind::allocate});
  Trace trace = builder.trace();
  trace.live_at_end_bytes = 5;
  const MemoryProfile profile = analyse(trace, {.recount_interval = 1});
  CHECK(profile.ledger.first_problem ==
        "a block was allocated at 0xabc, where another was still live");
  CHECK(profile.ledger.problems == 1);  // so the totals and both recounts agree
  CHECK(profile.ledger.recounts == 2);
  CHECK(profile.ledger.unmatched_frees == 0);
  CHECK(profile.peak.bytes == 8);
  CHECK(profile.timeline.back().live_bytes == 5);
}

TEST_CASE("impossible sizes count as empty blocks") {
  for (const std::int64_t bytes :
       {std::int64_t{0}, std::int64_t{-8}, std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max()}) {
    CAPTURE(bytes);
    TraceBuilder builder;
    builder.phase(Phase::forward);
    builder.add({.address = 1, .bytes = bytes, .kind = RecordKind::allocate});
    builder.add({.address = 1, .bytes = bytes, .kind = RecordKind::free});
    const MemoryProfile profile = analyse(builder.trace());
    CHECK_FALSE(profile.ledger.balanced);
    CHECK(profile.ledger.unmatched_frees == 0);
    CHECK(profile.ledger.problems == 1);
    CHECK(profile.peak.bytes == 0);
  }
}

TEST_CASE("sizes that together exceed any machine do not overflow") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).enter(0);
  const std::int64_t huge = std::int64_t{1} << 61;
  for (std::uint64_t address = 1; address <= 5; ++address) {
    builder.add({.address = address, .bytes = huge, .kind = RecordKind::allocate});
    builder.add({.address = address, .bytes = huge, .node = address, .kind = RecordKind::save});
  }
  const MemoryProfile profile = analyse(builder.trace());
  CHECK(profile.peak.bytes == 2 * huge);
  CHECK(profile.saved.logical_bytes == 2 * huge);
  CHECK_FALSE(profile.ledger.balanced);
}

TEST_CASE("a free of another size than the allocate's is a problem") {
  TraceBuilder builder;
  builder.phase(Phase::forward).allocate(0xf, 8);
  builder.add({.address = 0xf, .bytes = 9, .kind = RecordKind::free});
  Trace trace = builder.trace();
  trace.live_at_end_bytes = 0;
  CHECK(analyse(trace).ledger.first_problem ==
        "the block at 0xf was allocated with 8 bytes and freed with 9");
}

TEST_CASE("tags, saves and releases of the unknown are problems") {
  const auto forward = [] { return TraceBuilder().phase(Phase::forward); };
  CHECK(check_of(forward().tag(0x9, Category::input)).first_problem ==
        "a tag names the block at 0x9, which is not live");
  CHECK(check_of(forward().save(1, 0x9, 4)).first_problem ==
        "a save names the block at 0x9, which is not live");
  CHECK(check_of(forward().release(7)).first_problem ==
        "a release names the save 7, which is not held");
  CHECK(check_of(forward().allocate(1, 8).save(7, 1, 8).release(7).release(7)).problems == 1);
  CHECK(check_of(forward().allocate(1, 8).save(7, 1, 8).save(7, 1, 8)).first_problem ==
        "two saves carry the number 7");
  CHECK(check_of(forward().allocate(1, 8).save(7, 1, -8)).first_problem ==
        "a save of '-8' bytes; it counts as empty");
}

TEST_CASE("a save of an unknown block stays out of the figures") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).enter(0).save(1, 0x9, 4).leave();
  CHECK(analyse(builder.trace()).saved == SavedBytes{});
}

TEST_CASE("a save whose storage was freed holds nothing and is a problem") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).enter(0).allocate(1, 8).save(1, 1, 8).free(1).leave();
  builder.phase(Phase::backward);
  const MemoryProfile profile = analyse(builder.trace());
  CHECK(profile.saved == SavedBytes{});
  CHECK(profile.ledger.first_problem == "1 saves are held whose storages were freed");
}

TEST_CASE("a leave without an enter is a problem, whoever's thread it is") {
  CHECK(check_of(TraceBuilder({"a"}).enter(0).leave().leave()).first_problem ==
        "a layer scope closed on thread 0, where none was open");
  CHECK(check_of(TraceBuilder({"a"}).enter(0).on(65535).leave()).problems == 1);
}

TEST_CASE("words outside their lists are problems") {
  CHECK(check_of(TraceBuilder().add({.kind = static_cast<RecordKind>(200)})).first_problem ==
        "record 0 is of the unknown kind '200'");
  CHECK(check_of(TraceBuilder().add({.kind = RecordKind::phase, .detail = 5})).first_problem ==
        "record 0 announces the unknown phase '5'");
  CHECK(check_of(TraceBuilder().allocate(1, 8).add(
                     {.address = 1, .kind = RecordKind::tag, .detail = kCategoryCount}))
            .first_problem == "a tag carries the unknown category '12'");
  CHECK(check_of(TraceBuilder().allocate(1, 8).add(
                     {.address = 1, .node = 1, .kind = RecordKind::save, .detail = 3}))
            .first_problem == "a save carries the unknown label '3'");
}

TEST_CASE("layers that the table lacks count as none") {
  for (const LayerId layer : {1, -2, std::numeric_limits<LayerId>::max()}) {
    CAPTURE(layer);
    TraceBuilder builder({"a"});
    builder.phase(Phase::forward);
    builder.add({.address = 1, .bytes = 8, .layer = layer, .kind = RecordKind::allocate});
    Trace trace = builder.trace();
    trace.live_at_end_bytes = 8;
    const MemoryProfile profile = analyse(trace);
    CHECK(profile.ledger.problems == 1);
    REQUIRE(profile.layers.size() == 1);
    CHECK(profile.layers[0].kind == "outside");
    CHECK(profile.layers[0].own_peak_bytes == 8);
  }
}

// What must hold of any profile, however strange its trace.
bool is_coherent(const MemoryProfile& profile) {
  const auto sum = [](const CategoryBytes& categories) {
    return std::accumulate(categories.begin(), categories.end(), std::int64_t{0});
  };
  std::int64_t rows = 0, cells = 0;
  for (const LayerMemory& layer : profile.layers) rows += layer.own_peak_bytes;
  for (const PeakCell& cell : profile.cells_at_peak) cells += cell.bytes;
  std::int64_t highest = 0;
  for (const TimelinePoint& point : profile.timeline) highest = std::max(highest, point.live_bytes);
  return sum(profile.categories_at_peak) == profile.peak.bytes && rows == profile.peak.bytes &&
         cells == profile.peak.bytes && highest == profile.peak.bytes &&
         profile.runner_up.bytes <= profile.peak.bytes &&
         profile.ledger.balanced == (profile.ledger.problems == 0) &&
         profile.ledger.balanced == profile.ledger.first_problem.empty();
}

// Random bytes as records; with `tame`, kinds, addresses and layers that often make sense.
Trace random_trace(std::mt19937_64& random, bool tame) {
  Trace trace;
  trace.layers = {{"a", ""}, {"a.b", ""}, {"", ""}, {"a.b", ""}, {"..", ""}};
  trace.records.resize(random() % 300);
  for (Record& record : trace.records) {
    std::array<std::uint64_t, sizeof(Record) / 8> bits{};
    for (std::uint64_t& word : bits) word = random();
    record = std::bit_cast<Record>(bits);
    if (!tame) continue;
    record.kind = static_cast<RecordKind>(random() % 8);
    record.address = random() % 8;
    record.thread = static_cast<std::uint16_t>(random() % 3);
    record.layer = static_cast<LayerId>(random() % 7) - 1;
    record.detail = static_cast<std::uint8_t>(random() % 12);
    if (random() % 8 != 0) record.node = random() % 10;
    if (random() % 8 != 0) record.bytes = static_cast<std::int64_t>(random() % 100);
  }
  trace.dropped_records = tame ? 0 : static_cast<std::int64_t>(random());
  trace.live_at_end_bytes = static_cast<std::int64_t>(random());
  return trace;
}

TEST_CASE("random bytes make a coherent profile that does not balance") {
  std::mt19937_64 random(11);
  for (int i = 0; i < 400; ++i) {
    CAPTURE(i);
    const Trace trace = random_trace(random, i % 8 != 0);
    const MemoryProfile profile =
        analyse(trace, {.timeline_points = static_cast<std::int64_t>(1 + random() % 50),
                        .recount_interval = static_cast<std::int64_t>(random() % 20)});
    CHECK(is_coherent(profile));
    CHECK_FALSE(profile.ledger.balanced);
  }
}

}  // namespace
}  // namespace sbp::profiler
