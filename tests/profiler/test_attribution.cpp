#include <doctest/doctest.h>

#include "profiler/attribution.h"

namespace sbp::profiler {
namespace {

TEST_CASE("scopes nest on each thread by itself") {
  ScopeHistory scopes;
  CHECK(scopes.outermost(0) == kNoScope);
  scopes.enter(0, 4, 0);
  const ScopeNumber outer = scopes.outermost(0);
  scopes.enter(0, 5, 0);
  const ScopeNumber inner = scopes.innermost(0);
  CHECK(outer != kNoScope);
  CHECK(inner != outer);
  CHECK(scopes.outermost(0) == outer);
  CHECK(scopes.is_open(0, inner));
  CHECK_FALSE(scopes.is_open(1, inner));
  CHECK(scopes.outermost(1) == kNoScope);
  CHECK(scopes.leave(0, 0));
  CHECK_FALSE(scopes.is_open(0, inner));
  CHECK(scopes.is_open(0, outer));
  CHECK(scopes.innermost(0) == outer);
  CHECK(scopes.leave(0, 0));
  CHECK_FALSE(scopes.leave(0, 0));
  CHECK_FALSE(scopes.leave(9, 0));
}

TEST_CASE("opening the same layer again is another scope") {
  ScopeHistory scopes;
  scopes.enter(0, 4, 0);
  const ScopeNumber first = scopes.outermost(0);
  scopes.leave(0, 1);
  scopes.enter(0, 4, 1);
  CHECK(scopes.outermost(0) != first);
  CHECK_FALSE(scopes.is_open(0, first));
}

TEST_CASE("a node belongs to the layer that was open when its number was given out") {
  ScopeHistory scopes;
  scopes.enter(2, 0, 10);  // 10, 11: layer 0
  scopes.enter(2, 1, 12);  // 12..14: layer 1
  scopes.leave(2, 15);     // 15: layer 0 again
  scopes.leave(2, 16);     // 16..19: none
  scopes.enter(2, 3, 20);  // nothing given out: layer 3 gets no number
  scopes.enter(2, 1, 20);  // 20..: layer 1
  scopes.finish();
  CHECK(scopes.layer_of_node(2, 9) == kNoLayer);
  CHECK(scopes.layer_of_node(2, 10) == 0);
  CHECK(scopes.layer_of_node(2, 11) == 0);
  CHECK(scopes.layer_of_node(2, 12) == 1);
  CHECK(scopes.layer_of_node(2, 14) == 1);
  CHECK(scopes.layer_of_node(2, 15) == 0);
  CHECK(scopes.layer_of_node(2, 16) == kNoLayer);
  CHECK(scopes.layer_of_node(2, 19) == kNoLayer);
  CHECK(scopes.layer_of_node(2, 20) == 1);
  CHECK(scopes.layer_of_node(2, 1'000'000) == 1);
  CHECK(scopes.layer_of_node(0, 12) == kNoLayer);
  CHECK(scopes.layer_of_node(9, 12) == kNoLayer);
}

}  // namespace
}  // namespace sbp::profiler
