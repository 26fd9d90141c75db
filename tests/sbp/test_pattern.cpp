#include <doctest/doctest.h>

#include "sbp/base/pattern.h"

using sbp::matches_pattern;

TEST_CASE("a star stands for any run of signs") {
  CHECK(matches_pattern("blocks.*.mlp", "blocks.3.mlp"));
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("a**b", "ab"));
  CHECK(matches_pattern("*.fc1", "blocks.3.mlp.fc1"));
  CHECK(matches_pattern("*aab", "aaaab"));
  CHECK_FALSE(matches_pattern("blocks.*.mlp", "blocks.3.mlp.fc1"));
  CHECK_FALSE(matches_pattern("head", "heads"));
  CHECK_FALSE(matches_pattern("", "a"));
  CHECK_FALSE(matches_pattern("a*b*c", "acb"));
}
