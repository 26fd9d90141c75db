#include <doctest/doctest.h>

#include "profiler/predict/workload.h"
#include "sbp/base/error.h"
#include "tests/profiler/trace_builder.h"

using namespace sbp;
using namespace sbp::predict;
using profiler::Category;
using profiler::TraceBuilder;
using Kind = Workload::Event::Kind;

namespace {

std::vector<Kind> kinds_of(const Workload& workload) {
  std::vector<Kind> kinds;
  for (const Workload::Event& event : workload.events) kinds.push_back(event.kind);
  return kinds;
}

}  // namespace

TEST_CASE("a workload holds what a trace asks for, in its order") {
  TraceBuilder builder({"fc"});
  builder.allocate(0x1000, 400).tag(0x1000, Category::parameter, 0);
  builder.phase(Phase::setup).phase(Phase::forward).enter(0).allocate(0x2000, 80).leave(1);
  builder.phase(Phase::backward).node(0).allocate(0x3000, 400).free(0x2000);
  const Workload workload = workload_of(builder.trace());

  CHECK(workload.steps == 1);
  CHECK(kinds_of(workload) == std::vector{Kind::allocate, Kind::step, Kind::phase, Kind::phase,
                                          Kind::layer, Kind::allocate, Kind::phase, Kind::allocate,
                                          Kind::free});
  CHECK(peak_tensor_bytes(workload) == 880);
  REQUIRE(workload.blocks.size() == 3);
  CHECK(workload.blocks[0].bytes == 400);
  CHECK(workload.blocks[0].category == Category::parameter);
  CHECK(workload.blocks[0].layer == 0);
  CHECK(workload.blocks[2].layer == 0);  // of the node that the layer's forward gave number 0
  CHECK(workload.events.back().index == 1);
}

TEST_CASE("the later batches of a step that accumulates are no steps of their own") {
  TraceBuilder builder({"fc"});
  for (int step = 0; step < 2; ++step) {
    for (int batch = 0; batch < 3; ++batch) {
      builder.phase(Phase::setup).phase(Phase::forward).phase(Phase::backward);
    }
    builder.phase(Phase::optimizer_step);
  }
  CHECK(workload_of(builder.trace()).steps == 2);
}

TEST_CASE("operations keep their place, their layer and whether autograd ran them") {
  TraceBuilder builder({"conv"});
  builder.phase(Phase::setup).phase(Phase::forward).enter(0);
  builder.add({.address = 1, .layer = 0, .kind = profiler::RecordKind::operation});
  builder.leave(1).phase(Phase::backward);
  builder.add({.address = 0, .node = 0, .kind = profiler::RecordKind::operation});
  profiler::Trace trace = builder.trace();
  trace.operations = {{.kind = profiler::OperationKind::convolution_weight_gradient},
                      {.kind = profiler::OperationKind::convolution}};
  const Workload workload = workload_of(trace);

  REQUIRE(workload.operations.size() == 2);
  CHECK(workload.operations[0].what == trace.operations[1]);
  CHECK(workload.operations[0].layer == 0);
  CHECK_FALSE(workload.operations[0].backward);
  CHECK(workload.operations[1].what == trace.operations[0]);
  CHECK(workload.operations[1].layer == 0);
  CHECK(workload.operations[1].backward);
}

TEST_CASE("a trace that would give too little is refused") {
  TraceBuilder lost;
  lost.phase(Phase::setup).allocate(0x1000, 8);
  profiler::Trace trace = lost.trace();
  trace.dropped_records = 3;
  CHECK_THROWS_WITH_AS(workload_of(trace), doctest::Contains("3 records were lost"), Error);

  TraceBuilder unmatched;
  unmatched.phase(Phase::setup).free(0x5000);
  CHECK_THROWS_AS(workload_of(unmatched.trace()), Error);

  TraceBuilder negative;
  negative.phase(Phase::setup).allocate(0x1000, -8);
  CHECK_THROWS_AS(workload_of(negative.trace()), Error);

  TraceBuilder unknown;
  unknown.add({.address = 7, .kind = profiler::RecordKind::operation});
  CHECK_THROWS_WITH_AS(workload_of(unknown.trace()), doctest::Contains("operation '7' of 0"),
                       Error);
}
