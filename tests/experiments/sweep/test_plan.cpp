#include <doctest/doctest.h>

#include <set>

#include "experiments/sweep/equal_peak.h"
#include "experiments/sweep/plan.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/experiments/sweep/fakes.h"

using namespace sbp;
using namespace sbp::sweep;
using tests::fake_command;

namespace {

Plan plan_of(const PlanRequest& request) {
  return make_plan(fake_command(), request);
}

std::vector<std::string> points_of(const PlanRequest& request) {
  const Plan plan = plan_of(request);
  std::vector<std::string> texts;
  for (const PlannedPoint& point : plan.points) texts.push_back(point_text(plan, point));
  return texts;
}

std::string complaint(const PlanRequest& request) {
  return tests::error_text([&] { (void)plan_of(request); });
}

const reports::SweepAxis kStrategies{.name = "strategy", .values = {"full", "sbp", "sbp+dropit"}};
const reports::SweepAxis kKeeps{.name = "strategy.sbp.keep", .values = {"0.25", "0.5"}};
const reports::SweepAxis kSeeds{.name = "seed", .values = {"1", "2"}};

}  // namespace

TEST_CASE("sweep: the plan is the product of the axes, the last one first") {
  CHECK(points_of({.base = {}, .axes = {{"batch", {"8", "16"}}, kSeeds}, .exclude = {}}) ==
        std::vector<std::string>{"batch=8, seed=1", "batch=8, seed=2", "batch=16, seed=1",
                                 "batch=16, seed=2"});
}

TEST_CASE("sweep: an axis applies where the point has its spec, and otherwise points are one") {
  const Plan plan =
      plan_of({.base = {{"batch", "4"}}, .axes = {kStrategies, kKeeps}, .exclude = {}});
  REQUIRE(plan.points.size() == 5);
  CHECK(plan.points[0].values == std::vector<std::optional<std::string>>{"full", std::nullopt});
  CHECK(plan.points[0].options == std::vector<Setting>{{"batch", "4"}, {"strategy", "full"}});
  CHECK(plan.points[1].values == std::vector<std::optional<std::string>>{"sbp", "0.25"});
  CHECK(plan.points[4].options ==
        std::vector<Setting>{{"batch", "4"}, {"strategy", "sbp:keep=0.5+dropit"}});
}

TEST_CASE("sweep: keys are set inside of whole options, whatever the order of the axes") {
  CHECK(points_of({.base = {}, .axes = {kKeeps, {"strategy", {"full", "sbp"}}}, .exclude = {}}) ==
        std::vector<std::string>{"strategy=full", "strategy.sbp.keep=0.25, strategy=sbp",
                                 "strategy.sbp.keep=0.5, strategy=sbp"});
}

TEST_CASE("sweep: a key of a base option, or of its default") {
  const Plan plan =
      plan_of({.base = {{"strategy", "sbp:mask=random"}}, .axes = {kKeeps}, .exclude = {}});
  REQUIRE(plan.points.size() == 2);
  CHECK(plan.points[0].options == std::vector<Setting>{{"strategy", "sbp:mask=random,keep=0.25"}});
  CHECK(complaint({.base = {}, .axes = {kKeeps}, .exclude = {}}) ==
        "axis 'strategy.sbp.keep' applies to no point: none has 'sbp' as its strategy");
}

TEST_CASE("sweep: exclusions") {
  CHECK(points_of(
            {.base = {},
             .axes = {{"strategy", {"full", "sbp"}}, kKeeps, kSeeds},
             .exclude = {{{"strategy", "sbp"}, {"seed", "2"}}, {{"strategy.sbp.keep", "0.5"}}}}) ==
        std::vector<std::string>{"strategy=full, seed=1", "strategy=full, seed=2",
                                 "strategy=sbp, strategy.sbp.keep=0.25, seed=1"});
  // An axis that does not apply has no value to match.
  const Plan plan = plan_of({.base = {},
                             .axes = {{"strategy", {"full", "sbp"}}, kKeeps},
                             .exclude = {{{"strategy", "full"}, {"strategy.sbp.keep", "0.5"}}}});
  CHECK(plan.points.size() == 3);
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0] ==
        "the exclusion of 'strategy=full, strategy.sbp.keep=0.5' matches no point");
  CHECK(complaint({.base = {}, .axes = {kSeeds}, .exclude = {{{"sed", "1"}}}}) ==
        "'exclude' names 'sed', which is no axis");
  CHECK(complaint({.base = {}, .axes = {kSeeds}, .exclude = {{{"seed", "3"}}}}) ==
        "'exclude' names the value '3', which axis 'seed' does not have; it has 1, 2");
  CHECK(complaint({.base = {}, .axes = {kSeeds}, .exclude = {{{"seed", "1"}}, {{"seed", "2"}}}}) ==
        "every point is excluded; nothing is left to run");
}

TEST_CASE("sweep: an axis that cannot be meant is one sentence") {
  const auto axis = [](const std::string& name, std::vector<std::string> values) {
    return complaint({.base = {}, .axes = {{name, std::move(values)}}, .exclude = {}});
  };
  CHECK(axis("seed", {}) == "axis 'seed' has no values");
  CHECK(axis("seed", {"1", ""}) == "axis 'seed' has an empty value");
  CHECK(axis("seed", {"1", "1"}) == "axis 'seed' has the value '1' twice");
  CHECK(axis("sed", {"1"}).find("axis 'sed' names no option of sbp-train (did you mean 'seed'?)") ==
        0);
  CHECK(axis("batch.x.y", {"1"}).find("axis 'batch.x.y' names no option") == 0);
  CHECK(axis("strategy.sbp", {"1"}).find("axis 'strategy.sbp' names no option") == 0);
  CHECK(axis("strategy.sbp.", {"1"}).find("axis 'strategy.sbp.' names no option") == 0);
  CHECK(axis("strategy.sbx.keep", {"1"}).find("axis 'strategy.sbx.keep', value '1': unknown") == 0);
  CHECK(axis("strategy", {"full", "sbx"}).find("axis 'strategy', value 'sbx': unknown") == 0);
  CHECK(axis("strategy", {"sbp:keep=2"}).find("axis 'strategy', value 'sbp:keep=2': ") == 0);
  CHECK(complaint({.base = {}, .axes = {}, .exclude = {}}).find("there is no axis") == 0);
  CHECK(complaint({.base = {}, .axes = {kSeeds, kSeeds}, .exclude = {}}) ==
        "axis 'seed' is given twice");
  std::vector<std::string> many;
  for (int i = 0; i < 400; ++i) many.push_back(std::to_string(i + 1));
  CHECK(complaint({.base = {}, .axes = {{"seed", many}, {"batch", many}}, .exclude = {}}) ==
        "the axes make more than 100000 points");
}

TEST_CASE("sweep: two spellings of one command are noticed") {
  CHECK(complaint({.base = {}, .axes = {{"strategy", {"sbp", "sbp:keep=0.50"}}}, .exclude = {}}) ==
        "the points 'strategy=sbp' and 'strategy=sbp:keep=0.50' are one command; leave one of them "
        "out");
  CHECK(complaint({.base = {}, .axes = {{"batch", {"8", "08"}}}, .exclude = {}})
            .find("are one command") != std::string::npos);
  CHECK(complaint({.base = {},
                   .axes = {{"strategy", {"sbp", "sbp:keep=0.5,mask=random"}}},
                   .exclude = {}}) == "");
}

TEST_CASE("sweep: ids are of the command and its options, and stay when a plan grows") {
  const std::vector<Setting> options = {{"batch", "8"}, {"seed", "1"}};
  CHECK(point_id("train", options) == "b8e7d03e6e7dcde7");
  CHECK(point_id("train", {{"seed", "1"}, {"batch", "8"}}) == point_id("train", options));
  CHECK(point_id("profile", options) != point_id("train", options));
  // Texts do not run together.
  CHECK(point_id("train", {{"a", "bc"}}) != point_id("train", {{"ab", "c"}}));
  const Plan small = plan_of({.base = {}, .axes = {kSeeds}, .exclude = {}});
  const Plan large = plan_of({.base = {}, .axes = {{"seed", {"3", "2", "1"}}}, .exclude = {}});
  CHECK(large.points[2].id == small.points[0].id);
  CHECK(large.points[1].id == small.points[1].id);
  std::set<std::string> ids;
  for (int i = 0; i < 20000; ++i) ids.insert(point_id("train", {{"seed", std::to_string(i)}}));
  CHECK(ids.size() == 20000);
}

TEST_CASE("sweep: options as words") {
  CHECK(words_of(fake_command(), {{"batch", "8"}, {"flip", "true"}, {"seed", "-1"}}) ==
        std::vector<std::string>{"--batch", "8", "--flip", "--seed=-1"});
  CHECK(words_of(fake_command(), {{"flip", "false"}, {"strategy", ""}}) ==
        std::vector<std::string>{"--flip=false", "--strategy="});
}

TEST_CASE("sweep: equal peaks give each strategy the largest batch of the baseline's bytes") {
  tests::FakeSwept swept;
  swept.bytes_per_image = {
      {"full", 100}, {"sbp:keep=0.25", 30}, {"sbp:keep=0.5", 50}, {"dropit", 300}};
  Plan plan = plan_of({.base = {{"batch", "8"}},
                       .axes = {{"strategy", {"full", "sbp", "dropit"}}, kKeeps},
                       .exclude = {}});
  const std::string before = plan.points[1].id;
  std::size_t told = 0;
  make_peaks_equal(fake_command(), plan, swept, [&](std::size_t done) { told = done; });
  CHECK(told == 4);
  const auto batch = [&](std::size_t i) {
    return *option_of(fake_command(), plan.points[i].options, "batch");
  };
  CHECK(batch(0) == "8");
  CHECK(batch(1) == "26");  // 26 * 30 <= 800 < 27 * 30
  CHECK(batch(2) == "16");
  CHECK(batch(3) == "2");  // smaller, where the strategy costs more
  CHECK(plan.points[1].id != before);
  CHECK(plan.points[1].id == point_id("train", plan.points[1].options));
  for (const PlannedPoint& point : plan.points) {
    CHECK(swept.step_peak(words_of(fake_command(), point.options)).bytes <= 1800);
  }
  CHECK(swept.dry_runs < 60);
}

TEST_CASE("sweep: an equal peak is the largest batch's, though smaller ones peak higher") {
  tests::FakeSwept swept;
  swept.bytes_per_image = {{"full", 100}, {"sbp", 50}};
  swept.rest_bytes = {{9, 2000}, {10, 2000}, {13, 2000}, {15, 2000}, {16, 1}};
  Plan plan =
      plan_of({.base = {{"batch", "8"}}, .axes = {{"strategy", {"full", "sbp"}}}, .exclude = {}});
  make_peaks_equal(fake_command(), plan, swept, [](std::size_t) {});
  CHECK(*option_of(fake_command(), plan.points[1].options, "batch") == "14");
}

TEST_CASE("sweep: a strategy that never fits the baseline's bytes is refused") {
  tests::FakeSwept swept;
  swept.bytes_per_image = {{"full", 100}, {"dropit", 900}};
  Plan plan = plan_of({.base = {}, .axes = {{"strategy", {"full", "dropit"}}}, .exclude = {}});
  CHECK(tests::error_text(
            [&] { make_peaks_equal(fake_command(), plan, swept, [](std::size_t) {}); }) ==
        "point 'strategy=dropit': even a batch of 1 peaks above the 1.8 KiB of strategy "
        "'full'");
}
