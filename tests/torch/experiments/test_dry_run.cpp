// The dry run against the CPU run, to the byte. The whole product is printed by dry_run_table.
#include <set>
#include <string>

#include "tests/torch/experiments/dry_run_cases.h"
#include "tests/torch/experiments/dry_run_difference.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::tests {
namespace {

TEST_CASE("a dry run saves, layer by layer, what the CPU run saves, and holds the same blocks") {
  std::size_t compared = 0, exempt = 0;
  for (const DryRunCase& one : some_cases()) {
    CAPTURE(one.model);
    CAPTURE(one.strategy);
    CAPTURE(one.setting);
    const DryRunDifference difference = dry_run_difference(one.options);
    CHECK(difference.failed == "");
    if (!difference.refused.empty()) continue;
    ++compared;
    if (difference.exempt) {
      ++exempt;
      continue;
    }
    CHECK(difference.saved_logical_bytes == 0);
    CHECK(difference.saved_distinct_bytes == 0);
    CHECK(difference.saved_index_bytes == 0);
    for (const std::string& layer : difference.layers) FAIL_CHECK(layer);
    for (const std::string& block : difference.unexplained) FAIL_CHECK(block);
    CHECK(difference.same_saves());
    CHECK(difference.same_blocks());
    CHECK(difference.plain_peak_bytes == 0);
  }
  CHECK(compared > 100);
  CHECK(exempt > 0);
}

TEST_CASE("the cases name each model, strategy and setting that the whole product has") {
  const auto names = [](const std::vector<DryRunCase>& cases, std::string DryRunCase::*part) {
    std::set<std::string> found;
    for (const DryRunCase& one : cases) found.insert(one.*part);
    return found;
  };
  for (const auto part : {&DryRunCase::strategy, &DryRunCase::setting}) {
    CHECK(names(some_cases(), part) == names(all_cases(), part));
  }
  std::set<std::string> models = names(all_cases(), &DryRunCase::model);
  std::erase_if(models, [](const std::string& model) { return is_large_model(model); });
  CHECK(names(some_cases(), &DryRunCase::model) == models);
}

}  // namespace
}  // namespace sbp::tests
