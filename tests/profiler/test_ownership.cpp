#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "profiler/ownership.h"
#include "tests/profiler/trace_builder.h"

namespace sbp::profiler {
namespace {

// The owners of a trace's blocks, by birth.
std::vector<Owner> owners(const TraceBuilder& builder) {
  const Trace trace = builder.trace();
  Problems problems;
  const Lifetimes lifetimes = read_lifetimes(trace.records, trace.layers.size(), problems);
  CHECK_MESSAGE(problems.count() == 0, problems.first());
  return owners_of(trace.records, lifetimes, trace.layers.size());
}

Category only_category(const TraceBuilder& builder) {
  const std::vector<Owner> all = owners(builder);
  REQUIRE(all.size() == 1);
  return all[0].category;
}

TraceBuilder in_forward() {
  TraceBuilder builder({"a", "a.x", "b"});
  builder.phase(Phase::forward);
  return builder;
}

TraceBuilder in_backward() {
  TraceBuilder builder({"a", "a.x", "b"});
  builder.phase(Phase::forward).phase(Phase::backward);
  return builder;
}

TEST_CASE("categories have the words of the reports") {
  CHECK(to_string(Category::parameter) == "parameter");
  CHECK(to_string(Category::buffer) == "buffer");
  CHECK(to_string(Category::average) == "average");
  CHECK(to_string(Category::weight_copy) == "weight_copy");
  CHECK(to_string(Category::input) == "input");
  CHECK(to_string(Category::gradient) == "gradient");
  CHECK(to_string(Category::optimizer_state) == "optimizer_state");
  CHECK(to_string(Category::activation) == "activation");
  CHECK(to_string(Category::workspace) == "workspace");
  CHECK(to_string(Category::autograd_detail) == "autograd_detail");
  CHECK(to_string(Category::temporary) == "temporary");
  CHECK(to_string(Category::unknown) == "unknown");
}

TEST_CASE("a tag decides, whenever in the block's life it comes") {
  for (int i = 0; i < kCategoryCount; ++i) {
    const auto category = static_cast<Category>(i);
    CHECK(only_category(in_forward().allocate(1, 8).tag(1, category)) == category);
  }
}

TEST_CASE("of several tags the strongest decides, in any order") {
  CHECK(only_category(in_forward()
                          .allocate(1, 8)
                          .tag(1, Category::gradient)
                          .tag(1, Category::parameter)
                          .tag(1, Category::input)) == Category::parameter);
  CHECK(only_category(in_forward()
                          .allocate(1, 8)
                          .tag(1, Category::optimizer_state)
                          .tag(1, Category::gradient)) == Category::gradient);
}

TEST_CASE("a save makes an activation, unless a stronger tag says otherwise") {
  CHECK(only_category(in_forward().allocate(1, 8).save(0, 1, 8)) == Category::activation);
  CHECK(only_category(in_forward().allocate(1, 8).save(0, 1, 8).tag(1, Category::input)) ==
        Category::input);
  CHECK(
      only_category(in_forward().allocate(1, 8).tag(1, Category::optimizer_state).save(0, 1, 8)) ==
      Category::optimizer_state);
  CHECK(only_category(in_forward().allocate(1, 8).tag(1, Category::temporary).save(0, 1, 8)) ==
        Category::activation);
  // Released and freed in its own scope, it was still held.
  CHECK(only_category(
            in_forward().enter(0).allocate(1, 8).save(0, 1, 8).release(0).free(1).leave()) ==
        Category::activation);
}

TEST_CASE("a tag is for the block that lives then, not for later ones at the address") {
  const auto all = owners(
      in_forward().allocate(1, 8).tag(1, Category::input).free(1).allocate(1, 8).allocate(2, 8));
  REQUIRE(all.size() == 3);
  CHECK(all[0].category == Category::input);
  CHECK(all[1].category == Category::unknown);
}

TEST_CASE("temporary: died in the outermost layer scope that made it") {
  // In the inner scope, and after it closed but still inside the outer one.
  CHECK(only_category(in_forward().enter(0).enter(1).allocate(1, 8).free(1).leave().leave()) ==
        Category::temporary);
  CHECK(only_category(in_forward().enter(0).enter(1).allocate(1, 8).leave().free(1).leave()) ==
        Category::temporary);
  // After the outer scope closed, or in another scope of the same layer.
  CHECK(only_category(in_forward().enter(0).allocate(1, 8).leave().free(1)) == Category::unknown);
  CHECK(only_category(in_forward().enter(0).allocate(1, 8).leave().enter(0).free(1).leave()) ==
        Category::unknown);
  CHECK(only_category(in_forward().enter(0).allocate(1, 8).leave()) == Category::unknown);
}

TEST_CASE("temporary: the scope is that of the thread that made the block") {
  CHECK(only_category(in_forward().on(1).enter(0).allocate(1, 8).on(2).free(1).on(1).leave()) ==
        Category::temporary);
  CHECK(only_category(in_forward().on(2).enter(2).on(1).enter(0).allocate(1, 8).leave().on(2).free(
            1)) == Category::unknown);
}

TEST_CASE("temporary: died in the backward node that made it") {
  CHECK(only_category(in_backward().node(7).allocate(1, 8).free(1)) == Category::temporary);
  CHECK(only_category(in_backward().node(7).allocate(1, 8).node(6).free(1)) ==
        Category::autograd_detail);
  CHECK(only_category(in_backward().node(7).allocate(1, 8).node(kNoNode).free(1)) ==
        Category::autograd_detail);
  // The number alone is not enough: each thread's forward counts by itself.
  CHECK(only_category(in_backward().on(1).node(7).allocate(1, 8).on(2).free(1)) ==
        Category::autograd_detail);
  // A node goes before an open scope.
  CHECK(only_category(in_backward().enter(0).node(7).allocate(1, 8).node(6).free(1).leave()) ==
        Category::autograd_detail);
}

TEST_CASE("temporary: outside scopes and nodes, died in its phase") {
  CHECK(only_category(in_forward().allocate(1, 8).free(1)) == Category::temporary);
  CHECK(only_category(in_forward().allocate(1, 8).phase(Phase::backward).free(1)) ==
        Category::unknown);
  // Another stretch of the same phase is not the same.
  CHECK(only_category(
            in_forward().allocate(1, 8).phase(Phase::backward).phase(Phase::forward).free(1)) ==
        Category::unknown);
  CHECK(only_category(in_backward().allocate(1, 8).free(1)) == Category::temporary);
}

TEST_CASE("autograd_detail: born in backward, untagged, unsaved, outlives its op") {
  CHECK(only_category(in_backward().node(3).allocate(1, 8)) == Category::autograd_detail);
  CHECK(only_category(in_backward().allocate(1, 8)) == Category::autograd_detail);
  CHECK(only_category(in_backward().node(3).allocate(1, 8).tag(1, Category::gradient)) ==
        Category::gradient);
  CHECK(only_category(in_forward().node(3).allocate(1, 8)) == Category::unknown);
}

TEST_CASE("workspace: made in a convolution, died in the layer scope or node that made it") {
  CHECK(only_category(in_backward().node(3).allocate(1, 8, kInConvolution).free(1)) ==
        Category::workspace);
  CHECK(only_category(in_forward().enter(0).allocate(1, 8, kInConvolution).free(1).leave()) ==
        Category::workspace);
  // A convolution's output leaves its scope: no scratch, even if it dies in an outer one.
  CHECK(
      only_category(
          in_forward().enter(0).enter(1).allocate(1, 8, kInConvolution).leave().free(1).leave()) ==
      Category::temporary);
  CHECK(only_category(in_backward().node(3).allocate(1, 8, kInConvolution).node(2).free(1)) ==
        Category::autograd_detail);
  CHECK(only_category(in_forward()
                          .enter(0)
                          .allocate(1, 8, kInConvolution)
                          .save(0, 1, 8)
                          .release(0)
                          .free(1)
                          .leave()) == Category::activation);
}

TEST_CASE("blocks older than the trace are unknown unless something speaks of them") {
  CHECK(only_category(TraceBuilder().allocate(1, 8).phase(Phase::forward).free(1)) ==
        Category::unknown);
  CHECK(only_category(TraceBuilder().allocate(1, 8).free(1).phase(Phase::forward)) ==
        Category::unknown);
  CHECK(only_category(TraceBuilder().allocate(1, 8, kInConvolution).free(1)) == Category::unknown);
  CHECK(only_category(TraceBuilder({"a"}).enter(0).allocate(1, 8).free(1).leave()) ==
        Category::unknown);
  CHECK(only_category(
            TraceBuilder().allocate(1, 8).phase(Phase::forward).tag(1, Category::parameter)) ==
        Category::parameter);
  CHECK(only_category(TraceBuilder().allocate(1, 8).phase(Phase::forward).save(0, 1, 8)) ==
        Category::activation);
  // An announced setup is part of the trace.
  CHECK(only_category(TraceBuilder().phase(Phase::setup).allocate(1, 8).free(1)) ==
        Category::temporary);
}

TEST_CASE("a block's phase is that of its birth") {
  const auto all = owners(TraceBuilder()
                              .allocate(1, 8)
                              .phase(Phase::forward)
                              .allocate(2, 8)
                              .phase(Phase::optimizer_step)
                              .allocate(3, 8));
  REQUIRE(all.size() == 3);
  CHECK(all[0].phase == Phase::setup);
  CHECK(all[1].phase == Phase::forward);
  CHECK(all[2].phase == Phase::optimizer_step);
}

TEST_CASE("layer: an activation goes to its first saver, else to where it was born") {
  // Born in layer 0, saved by 2 first and then by 1.
  const auto saved = owners(in_forward()
                                .enter(0)
                                .allocate(1, 8)
                                .leave()
                                .enter(2)
                                .save(0, 1, 8)
                                .leave()
                                .enter(1)
                                .save(1, 1, 8)
                                .leave());
  CHECK(saved[0].layer == 2);
  CHECK(saved[0].born_in == 0);
  // Saves outside every layer leave it where it was born.
  CHECK(owners(in_forward().enter(0).allocate(1, 8).leave().save(0, 1, 8))[0].layer == 0);
  CHECK(owners(in_forward().allocate(1, 8).save(0, 1, 8))[0].layer == kNoLayer);
}

TEST_CASE("layer: a tag's, if it names one") {
  CHECK(
      owners(in_forward().enter(0).allocate(1, 8).leave().tag(1, Category::gradient, 2))[0].layer ==
      2);
  CHECK(owners(in_forward().enter(0).allocate(1, 8).leave().tag(1, Category::gradient))[0].layer ==
        0);
  // The strongest tag that names one.
  CHECK(owners(in_forward()
                   .allocate(1, 8)
                   .tag(1, Category::gradient, 1)
                   .tag(1, Category::parameter, 2)
                   .tag(1, Category::input, 0))[0]
            .layer == 2);
  CHECK(
      owners(
          in_forward().allocate(1, 8).tag(1, Category::parameter).tag(1, Category::gradient, 1))[0]
          .layer == 1);
  // A parameter that is saved stays with its tag's layer.
  CHECK(owners(in_forward()
                   .allocate(1, 8)
                   .tag(1, Category::parameter, 1)
                   .enter(2)
                   .save(0, 1, 8)
                   .leave())[0]
            .layer == 1);
}

TEST_CASE("layer: a backward block's, by the node's sequence number and thread") {
  TraceBuilder builder({"a", "b"});
  builder.phase(Phase::forward);
  builder.on(0).enter(0, 0).leave(3).enter(1, 3).leave(5);
  builder.on(1).enter(1, 0).leave(3);
  builder.phase(Phase::backward);
  builder.on(0).node(4).allocate(1, 8).node(2).allocate(2, 8).node(5).allocate(3, 8);
  builder.on(1).node(2).allocate(4, 8);
  builder.on(0).node(kNoNode).allocate(5, 8);
  // Recompute inside backward pushes its own scope, which goes before the node.
  builder.node(4).enter(0, 5).allocate(6, 8).leave(5);
  const auto all = owners(builder);
  REQUIRE(all.size() == 6);
  CHECK(all[0].layer == 1);
  CHECK(all[1].layer == 0);
  CHECK(all[2].layer == kNoLayer);
  CHECK(all[3].layer == 1);
  CHECK(all[4].layer == kNoLayer);
  CHECK(all[5].layer == 0);
}

TEST_CASE("layer: what accumulates a gradient belongs with the parameter") {
  TraceBuilder builder({"a", "b"});
  builder.allocate(100, 8).allocate(200, 8).allocate(300, 8);
  builder.enter(1).allocate(400, 8).leave();
  builder.tag(100, Category::parameter, 1).tag(400, Category::parameter);
  builder.phase(Phase::backward);
  builder.node(100).allocate(1, 8, kAccumulates);
  builder.node(200).allocate(2, 8, kAccumulates);
  builder.node(300).allocate(3, 8, kAccumulates);
  builder.node(400).allocate(4, 8, kAccumulates);
  builder.node(999).allocate(5, 8, kAccumulates);
  builder.tag(200, Category::parameter, 0);  // tagged only afterwards
  builder.tag(300, Category::buffer, 0);     // not a parameter
  const auto all = owners(builder);
  REQUIRE(all.size() == 9);
  CHECK(all[4].layer == 1);
  CHECK(all[5].layer == 0);
  CHECK(all[6].layer == kNoLayer);
  CHECK(all[7].layer == 1);  // the parameter's tag names none: where it was born
  CHECK(all[8].layer == kNoLayer);
}

}  // namespace
}  // namespace sbp::profiler
