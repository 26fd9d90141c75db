#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "profiler/ledger.h"
#include "tests/profiler/trace_builder.h"

namespace sbp::profiler {
namespace {

// A small step: 30 bytes of parameters, an activation, a gradient.
TraceBuilder small_step() {
  TraceBuilder builder({"model", "model.fc", "model.loss"});
  builder.allocate(1, 30).tag(1, Category::parameter, 1);
  builder.phase(Phase::forward);
  builder.enter(0, 0);
  builder.enter(1, 0).allocate(2, 100).save(1, 2, 100).allocate(3, 50).free(3).leave(1);
  builder.enter(2, 1).allocate(4, 4).leave(2);
  builder.leave(2);
  builder.phase(Phase::backward);
  builder.node(1).allocate(5, 100).node(0).allocate(6, 30);
  builder.release(1).free(2).free(5).node(kNoNode);
  builder.tag(6, Category::gradient, 1);
  builder.phase(Phase::optimizer_step).allocate(7, 10).free(7);
  return builder;
}

TEST_CASE("an empty trace balances and has nothing in it") {
  MemoryProfile expected;
  expected.ledger.balanced = true;
  CHECK(analyse(Trace{}) == expected);
}

TEST_CASE("the peak is the first highest moment, with its layer, phase and owners") {
  const MemoryProfile profile = analyse(small_step().trace());
  CHECK_MESSAGE(profile.ledger.balanced, profile.ledger.first_problem);
  // 30 + 100 + 4 + 100 + 30, when node 0 (of model.fc) makes the gradient: record 16.
  CHECK(profile.peak == PeakMoment{264, Phase::backward, "model.fc", 160, 16});
  // Another phase or layer: 234, when node 1 (of model.loss) made its block.
  CHECK(profile.runner_up == PeakMoment{234, Phase::backward, "model.loss", 150, 15});
  CategoryBytes expected{};
  expected[static_cast<std::size_t>(Category::parameter)] = 30;
  expected[static_cast<std::size_t>(Category::gradient)] = 30;
  expected[static_cast<std::size_t>(Category::activation)] = 100;
  expected[static_cast<std::size_t>(Category::autograd_detail)] = 100;
  expected[static_cast<std::size_t>(Category::unknown)] = 4;
  CHECK(profile.categories_at_peak == expected);
  CHECK(profile.transient_peak_bytes == 100);
  const std::vector<PeakCell> cells = {
      {"model.fc", Phase::setup, Category::parameter, 30},
      {"model.fc", Phase::forward, Category::activation, 100},
      {"model.fc", Phase::backward, Category::gradient, 30},
      {"model.loss", Phase::forward, Category::unknown, 4},
      {"model.loss", Phase::backward, Category::autograd_detail, 100},
  };
  CHECK(profile.cells_at_peak == cells);
}

TEST_CASE("rows hold what each layer itself owned at the peak, and sum to it") {
  TraceBuilder builder = small_step();
  builder.allocate(8, 1000);  // outside every layer: a new peak
  const MemoryProfile profile = analyse(builder.trace());
  CHECK(profile.peak == PeakMoment{1064, Phase::optimizer_step, "", 240, 24});
  // model and model.fc because of what they saved; model owns nothing itself.
  REQUIRE(profile.layers.size() == 4);
  CHECK(profile.layers[0].name == "model");
  CHECK(profile.layers[0].own_peak_bytes == 0);
  CHECK(profile.layers[0].saved.distinct_bytes == 100);
  CHECK(profile.layers[1].name == "model.fc");
  CHECK(profile.layers[1].kind == "linear");
  CHECK(profile.layers[1].own_peak_bytes == 60);
  CHECK(bytes_of(profile.layers[1].own_categories_at_peak, Category::parameter) == 30);
  CHECK(bytes_of(profile.layers[1].own_categories_at_peak, Category::gradient) == 30);
  CHECK(profile.layers[2].name == "model.loss");
  CHECK(profile.layers[2].own_peak_bytes == 4);
  CHECK(profile.layers[3].name.empty());
  CHECK(profile.layers[3].kind == "outside");
  CHECK(profile.layers[3].own_peak_bytes == 1000);
}

TEST_CASE("each phase has its peak, its end, and what was born in it") {
  TraceBuilder builder = small_step();
  builder.phase(Phase::forward).allocate(9, 5);  // forward again: the same row
  const MemoryProfile profile = analyse(builder.trace());
  const std::vector<PhaseMemory> phases = {
      {Phase::setup, 30, 30, 30, 1},
      {Phase::forward, 180, 69, 159, 4},
      {Phase::backward, 264, 64, 130, 2},
      {Phase::optimizer_step, 74, 64, 10, 1},
  };
  CHECK(profile.phases == phases);
}

TEST_CASE("a phase in which nothing is allocated peaks at what it found") {
  const MemoryProfile profile =
      analyse(TraceBuilder().allocate(1, 30).phase(Phase::evaluation).free(1).trace());
  REQUIRE(profile.phases.size() == 2);
  CHECK(profile.phases[1] == PhaseMemory{Phase::evaluation, 30, 0, 0, 0});
}

TEST_CASE("of equal peaks the first counts, and the runner-up may be as high") {
  TraceBuilder builder({"a", "b"});
  builder.phase(Phase::forward);
  builder.enter(0).allocate(1, 10).free(1).allocate(1, 10).free(1).leave();
  builder.enter(1).allocate(2, 10).free(2).leave();
  const MemoryProfile profile = analyse(builder.trace());
  CHECK(profile.peak == PeakMoment{10, Phase::forward, "a", 20, 2});
  CHECK(profile.runner_up == PeakMoment{10, Phase::forward, "b", 80, 8});
}

TEST_CASE("without a second phase or layer there is no runner-up") {
  const MemoryProfile profile =
      analyse(TraceBuilder().phase(Phase::forward).allocate(1, 10).allocate(2, 10).trace());
  CHECK(profile.peak.bytes == 20);
  CHECK(profile.runner_up == PeakMoment{});
}

TEST_CASE("the timeline follows live bytes and keeps the peak when it is thinned") {
  const Trace trace = small_step().trace();
  std::vector<std::int64_t> live;
  for (const TimelinePoint& point : analyse(trace).timeline) live.push_back(point.live_bytes);
  CHECK(live == std::vector<std::int64_t>{30, 130, 180, 130, 134, 234, 264, 164, 64, 74, 64});
  const MemoryProfile thinned = analyse(trace, {.timeline_points = 3});
  const std::vector<TimelinePoint> expected = {
      {70, 180, Phase::forward}, {160, 264, Phase::backward}, {180, 164, Phase::backward}};
  CHECK(thinned.timeline == expected);
}

TEST_CASE("events are counted, and recounts are made at every interval and at the end") {
  const Trace trace = small_step().trace();
  LedgerCheck expected;
  expected.allocate_events = 7;
  expected.free_events = 4;
  expected.recounts = 1;
  expected.balanced = true;
  CHECK(analyse(trace).ledger == expected);
  CHECK(analyse(trace, {.recount_interval = 1}).ledger.recounts == 11);
  CHECK(analyse(trace, {.recount_interval = 4}).ledger.recounts == 3);
  CHECK(analyse(trace, {.recount_interval = 0}).ledger.recounts == 1);
}

TEST_CASE("the allocator's own counter is believed over the books") {
  Trace at_phase = small_step().trace();
  for (Record& record : at_phase.records) {
    if (record.kind == RecordKind::phase && record.detail == 2) record.bytes += 1;
  }
  const LedgerCheck check = analyse(at_phase).ledger;
  CHECK_FALSE(check.balanced);
  CHECK_FALSE(check.peak_is_lower_bound);
  CHECK(check.problems == 1);
  CHECK(check.first_problem ==
        "the books hold 134 bytes when the phase 'backward' begins, the allocator counts 135");

  Trace at_end = small_step().trace();
  at_end.live_at_end_bytes = 0;
  CHECK(analyse(at_end).ledger.first_problem ==
        "the books hold 64 bytes at the end of the trace, the allocator counts 0");
}

TEST_CASE("dropped records make the peak a lower bound") {
  Trace trace = small_step().trace();
  trace.dropped_records = 3;
  const LedgerCheck check = analyse(trace).ledger;
  CHECK(check.dropped_events == 3);
  CHECK(check.peak_is_lower_bound);
  CHECK_FALSE(check.balanced);
  CHECK(check.first_problem == "3 records were dropped: the peak is a lower bound");
}

TEST_CASE("a lost record is found out, whichever it was") {
  const Trace whole = small_step().trace();
  for (std::size_t lost = 0; lost < whole.records.size(); ++lost) {
    const RecordKind kind = whole.records[lost].kind;
    if (kind != RecordKind::allocate && kind != RecordKind::free) continue;
    Trace trace = whole;
    trace.records.erase(trace.records.begin() + static_cast<std::ptrdiff_t>(lost));
    CAPTURE(lost);
    CHECK_FALSE(analyse(trace).ledger.balanced);
  }
}

}  // namespace
}  // namespace sbp::profiler
