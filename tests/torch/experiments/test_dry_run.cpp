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

TEST_CASE("the selection has each strategy and setting of the whole product") {
  const auto names = [](const std::vector<DryRunCase>& cases, std::string DryRunCase::*part) {
    std::set<std::string> found;
    for (const DryRunCase& one : cases) found.insert(one.*part);
    return found;
  };
  const std::vector<DryRunCase> some = some_cases(), all = all_cases();
  CHECK(names(some, &DryRunCase::strategy) == names(all, &DryRunCase::strategy));
  CHECK(names(some, &DryRunCase::setting) == names(all, &DryRunCase::setting));
  // The large ones are left to the whole product.
  CHECK(names(some, &DryRunCase::model).size() >= 20);
}

}  // namespace
}  // namespace sbp::tests
