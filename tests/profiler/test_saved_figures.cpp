#include <doctest/doctest.h>

#include "profiler/ledger.h"
#include "tests/profiler/trace_builder.h"

namespace sbp::profiler {
namespace {

SavedBytes saved_of(const MemoryProfile& profile, std::string_view layer) {
  return layer_named(profile, layer).saved;
}

MemoryProfile balanced(const TraceBuilder& builder) {
  MemoryProfile profile = analyse(builder.trace());
  CHECK_MESSAGE(profile.ledger.balanced, profile.ledger.first_problem);
  return profile;
}

TEST_CASE("logical counts every save, distinct every storage once, marginal the only saver's") {
  TraceBuilder builder({"block", "block.fc1", "block.fc2", "head"});
  builder.phase(Phase::forward);
  builder.enter(1);
  builder.allocate(1, 100).save(0, 1, 100);
  builder.allocate(2, 40).save(1, 2, 40).save(2, 2, 10);  // and a view of a quarter of it
  builder.leave();
  builder.enter(2);
  builder.save(3, 2, 40);  // shared with fc1
  builder.allocate(3, 7).save(4, 3, 7);
  builder.leave();
  builder.enter(3).save(5, 3, 7).leave();  // shared with fc2
  builder.phase(Phase::backward);
  const MemoryProfile profile = balanced(builder);

  CHECK(saved_of(profile, "block.fc1") == SavedBytes{150, 140, 100, 0, 3});
  CHECK(saved_of(profile, "block.fc2") == SavedBytes{47, 47, 0, 0, 2});
  // Storage 2 has savers only inside the block: marginal there, though in neither child.
  CHECK(saved_of(profile, "block") == SavedBytes{197, 147, 140, 0, 5});
  CHECK(saved_of(profile, "head") == SavedBytes{7, 7, 0, 0, 1});
  CHECK(profile.saved == SavedBytes{204, 147, 147, 0, 6});
}

TEST_CASE("parameters, buffers and inputs are left out, other tags are not") {
  TraceBuilder builder({"a"});
  builder.allocate(1, 1).allocate(2, 20).allocate(3, 300).allocate(4, 4000);
  builder.phase(Phase::forward).enter(0);
  builder.save(1, 1, 1).save(2, 2, 20).save(3, 3, 300).save(4, 4, 4000);
  builder.leave();
  builder.tag(1, Category::parameter).tag(2, Category::buffer).tag(3, Category::input);
  builder.tag(4, Category::gradient);
  builder.phase(Phase::backward);
  const MemoryProfile profile = balanced(builder);
  CHECK(profile.saved == SavedBytes{4000, 4000, 4000, 0, 1});
  CHECK(saved_of(profile, "a") == SavedBytes{4000, 4000, 4000, 0, 1});
}

TEST_CASE("index bytes are those of storages that hold nothing but indices and scales") {
  TraceBuilder builder({"a", "b"});
  builder.phase(Phase::forward).enter(0);
  builder.allocate(1, 10).save(1, 1, 10, SaveLabel::index).save(2, 1, 5, SaveLabel::scale);
  builder.allocate(2, 20).save(3, 2, 20, SaveLabel::scale).save(4, 2, 20, SaveLabel::value);
  builder.allocate(3, 30).save(5, 3, 30);
  builder.leave();
  builder.enter(1).save(6, 1, 10, SaveLabel::index).leave();
  builder.phase(Phase::backward);
  const MemoryProfile profile = balanced(builder);
  CHECK(profile.saved == SavedBytes{95, 60, 60, 10, 6});
  CHECK(saved_of(profile, "a") == SavedBytes{85, 60, 50, 10, 5});
  CHECK(saved_of(profile, "b") == SavedBytes{10, 10, 0, 10, 1});
}

TEST_CASE("the figures are those of the end of forward") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).enter(0);
  builder.allocate(1, 100).save(1, 1, 100).release(1).free(1);  // a branch without gradient
  builder.allocate(2, 10).save(2, 2, 10);
  builder.leave();
  builder.phase(Phase::backward);
  builder.enter(0).allocate(3, 5).save(3, 3, 5).leave();  // recompute
  builder.release(3).free(3).release(2).free(2);
  CHECK(balanced(builder).saved == SavedBytes{10, 10, 10, 0, 1});

  // A second step does not count.
  builder.phase(Phase::forward).enter(0).allocate(1, 9).save(4, 1, 9).leave();
  builder.phase(Phase::backward);
  CHECK(balanced(builder).saved == SavedBytes{10, 10, 10, 0, 1});
}

TEST_CASE("without a backward the figures are those of the end of the trace") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).enter(0).allocate(1, 100).save(1, 1, 60).leave();
  builder.allocate(2, 3).save(2, 2, 3).release(2).free(2);
  CHECK(balanced(builder).saved == SavedBytes{60, 100, 100, 0, 1});
}

TEST_CASE("saves outside every layer are a row without a name") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward);
  builder.enter(0).allocate(1, 100).save(1, 1, 100).leave();
  builder.save(2, 1, 50);
  builder.allocate(2, 8).save(3, 2, 8, SaveLabel::index);
  builder.phase(Phase::backward);
  const MemoryProfile profile = balanced(builder);
  CHECK(profile.saved == SavedBytes{158, 108, 108, 8, 3});
  CHECK(saved_of(profile, "a") == SavedBytes{100, 100, 0, 0, 1});
  REQUIRE(profile.layers.size() == 2);
  CHECK(profile.layers.back().name.empty());
  CHECK(profile.layers.back().kind == "outside");
  CHECK(profile.layers.back().saved == SavedBytes{58, 108, 8, 8, 2});
}

TEST_CASE("an empty storage that is saved and released is no problem and no bytes") {
  TraceBuilder builder({"a"});
  builder.phase(Phase::forward).save(1, 0, 0).release(1).phase(Phase::backward);
  CHECK(balanced(builder).saved == SavedBytes{});
}

}  // namespace
}  // namespace sbp::profiler
