#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "reports/documents.h"
#include "reports/json.h"
#include "reports/render.h"
#include "reports/sweep_summary.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

using Values = std::vector<std::optional<std::string>>;

SweepPoint point(std::string id, Values values, double top1, std::int64_t peak_bytes) {
  SweepPoint point;
  point.id = std::move(id);
  point.values = std::move(values);
  point.status = PointStatus::finished;
  point.seconds = 1.0;
  point.figures.top1 = top1;
  point.figures.peak_bytes = peak_bytes;
  return point;
}

// full, sbp at two keep ratios; three seeds each.
SweepReport sweep() {
  SweepReport report = tests::sample_sweep();
  report.axes = {{.name = "strategy", .values = {"full", "sbp"}},
                 {.name = "strategy.sbp.keep", .values = {"0.5", "0.25"}},
                 {.name = "seed", .values = {"1", "2", "3"}}};
  report.points = {
      point("a1", {"full", {}, "1"}, 0.50, 1000),   point("a2", {"full", {}, "2"}, 0.54, 1000),
      point("a3", {"full", {}, "3"}, 0.58, 1000),   point("b1", {"sbp", "0.5", "1"}, 0.49, 700),
      point("b2", {"sbp", "0.5", "2"}, 0.525, 700), point("b3", {"sbp", "0.5", "3"}, 0.57, 700),
      point("c1", {"sbp", "0.25", "1"}, 0.30, 800), point("c2", {"sbp", "0.25", "2"}, 0.31, 800),
      point("c3", {"sbp", "0.25", "3"}, 0.99, 800)};
  return report;
}

const Estimate& estimate(const SweepGroup& group, const std::string& name) {
  for (const auto& figure : group.figures) {
    if (figure.name == name) return figure.estimate;
  }
  throw std::runtime_error("no figure " + name);
}

const FigureDifference& difference(const SweepGroup& group, const std::string& name) {
  for (const auto& figure : group.differences) {
    if (figure.name == name) return figure;
  }
  throw std::runtime_error("no difference of " + name);
}

}  // namespace

TEST_CASE("the estimate of a few values") {
  const Estimate three = estimate_of({1.0, 2.0, 6.0});
  CHECK(three.count == 3);
  CHECK(three.mean == 3.0);
  CHECK(*three.standard_deviation == doctest::Approx(std::sqrt(7.0)));
  const double half = 4.302652729749462 * std::sqrt(7.0) / std::sqrt(3.0);
  CHECK(*three.low == doctest::Approx(3.0 - half));
  CHECK(*three.high == doctest::Approx(3.0 + half));
  CHECK(estimate_of({5.0}) == Estimate{1, 5.0, {}, {}, {}});
  CHECK(estimate_of({}) == Estimate{});
  // A sum of three tenths is not three times a tenth.
  const Estimate equal = estimate_of({0.1, 0.1, 0.1});
  CHECK(equal == Estimate{3, 0.1, 0.0, 0.1, 0.1});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Estimate broken = estimate_of({0.1, nan});
  CHECK(std::isnan(broken.mean));
  CHECK_FALSE(broken.low);
}

TEST_CASE("points are grouped over their seeds") {
  const SweepSummary summary = summary_of(sweep());
  CHECK(summary.axes == std::vector<std::string>{"strategy", "strategy.sbp.keep"});
  CHECK(summary.baseline == "strategy=full");
  REQUIRE(summary.groups.size() == 3);
  CHECK(summary.groups[1].values == Values{"sbp", "0.5"});
  CHECK(summary.groups[0].points == 3);
  CHECK(estimate(summary.groups[0], "top1").mean == doctest::Approx(0.54));
  CHECK(*estimate(summary.groups[0], "top1").standard_deviation == doctest::Approx(0.04));
  CHECK(estimate(summary.groups[1], "peak_bytes") == Estimate{3, 700.0, 0.0, 700.0, 700.0});
}

TEST_CASE("differences are taken seed by seed against the baseline") {
  const SweepSummary summary = summary_of(sweep());
  CHECK_FALSE(summary.groups[0].baseline);
  CHECK(summary.groups[0].differences.empty());
  CHECK(summary.groups[1].baseline == 0);
  // -0.01, -0.015, -0.01: small beside the spread over seeds, and yet resolved.
  const FigureDifference& close = difference(summary.groups[1], "top1");
  CHECK(close.estimate.mean == doctest::Approx(-0.035 / 3));
  CHECK(*close.estimate.high < 0);
  CHECK(close.resolved == true);
  CHECK(*estimate(summary.groups[1], "top1").high > 0.54);
  // -0.20, -0.23, +0.41.
  CHECK(difference(summary.groups[2], "top1").resolved == false);
  CHECK(difference(summary.groups[2], "peak_bytes").estimate.mean == -200.0);
  CHECK(difference(summary.groups[2], "peak_bytes").resolved == true);
}

TEST_CASE("an unpaired seed is in no difference, an unfinished point in no figure") {
  SweepReport report = sweep();
  report.points[0].status = PointStatus::killed;
  report.points[0].figures = {};
  report.points[3].status = PointStatus::failed;  // its figures are left from somewhere
  SweepSummary summary = summary_of(report);
  CHECK(summary.groups[0].finished == 2);
  CHECK(summary.groups[0].unfinished == std::vector<std::string>{"a1"});
  CHECK(summary.groups[0].fewer_seeds);
  CHECK_FALSE(summary.groups[2].fewer_seeds);
  CHECK(estimate(summary.groups[1], "top1").count == 2);
  CHECK(difference(summary.groups[2], "top1").estimate.count == 2);  // seeds 2 and 3
  report.points[4].status = PointStatus::failed;
  summary = summary_of(report);
  CHECK(difference(summary.groups[1], "top1").estimate.count == 1);
  CHECK_FALSE(difference(summary.groups[1], "top1").resolved.has_value());
}

TEST_CASE("the Pareto front holds those that nobody beats in both") {
  SweepReport report = sweep();
  const auto front = [&report] {
    std::vector<std::optional<bool>> marks;
    for (const auto& group : summary_of(report).groups) marks.push_back(group.pareto_top1);
    return marks;
  };
  using Marks = std::vector<std::optional<bool>>;
  // bytes 1000, 700, 800; top-1 0.54, 0.5283, 0.5333
  CHECK(front() == Marks{true, true, true});
  report.points[8].figures.top1 = 0.1;  // 800 bytes and worse than 700
  CHECK(front() == Marks{true, true, false});
  for (std::size_t i = 6; i < 9; ++i) {  // equal to the other in both
    report.points[i].figures = report.points[i - 3].figures;
  }
  CHECK(front() == Marks{true, true, true});
  for (std::size_t i = 6; i < 9; ++i) report.points[i].figures.peak_bytes = 800;
  CHECK(front() == Marks{true, true, false});  // as good, and larger
  for (std::size_t i = 6; i < 9; ++i) report.points[i].figures.peak_bytes.reset();
  CHECK(front() == Marks{true, true, std::nullopt});
  for (std::size_t i = 0; i < 3; ++i) report.points[i].figures.top1 = 0.1;
  CHECK(front() == Marks{false, true, std::nullopt});
  CHECK_FALSE(summary_of(report).groups[0].pareto_cosine.has_value());
}

TEST_CASE("another baseline is asked for by an axis and its value") {
  const SweepSummary summary = summary_of(sweep(), "strategy.sbp.keep=0.5");
  CHECK(summary.groups[2].baseline == 1);
  CHECK_FALSE(summary.groups[1].baseline);
  CHECK_FALSE(summary.groups[0].baseline);  // another strategy
  CHECK_THROWS_WITH_AS(summary_of(sweep(), "keep=1"),
                       "unknown axis of the baseline 'keep'; known: strategy, strategy.sbp.keep",
                       UsageError);
  CHECK_THROWS_WITH_AS(summary_of(sweep(), "strategy=ful"),
                       "unknown value of 'strategy' 'ful'; did you mean 'full'? Known: full, sbp",
                       UsageError);
  CHECK_THROWS_WITH_AS(summary_of(sweep(), "strategy"),
                       "the baseline is 'strategy'; it must be AXIS=VALUE", UsageError);
}

TEST_CASE("each group has the baseline that agrees with it in the other axes") {
  SweepReport report = sweep();
  report.axes = {{.name = "strategy", .values = {"full", "sbp"}},
                 {.name = "batch", .values = {"4", "8"}}};
  report.points = {point("a", {"full", "4"}, 0.5, 400), point("b", {"full", "8"}, 0.6, 800),
                   point("c", {"sbp", "4"}, 0.4, 300), point("d", {"sbp", "8"}, 0.5, 600),
                   point("e", {"sbp", "16"}, 0.7, 1200)};
  const SweepSummary summary = summary_of(report);
  CHECK(summary.groups[2].baseline == 0);
  CHECK(summary.groups[3].baseline == 1);
  CHECK_FALSE(summary.groups[4].baseline);
  CHECK(difference(summary.groups[3], "peak_bytes").estimate.mean == -200.0);
}

TEST_CASE("without a full strategy the first group is the baseline") {
  SweepReport report = sweep();
  report.points.erase(report.points.begin(), report.points.begin() + 3);
  const SweepSummary summary = summary_of(report);
  CHECK(summary.baseline == "the first group");
  CHECK(summary.groups[1].baseline == 0);
  report.points.clear();
  CHECK(summary_of(report).groups.empty());
}

TEST_CASE("two points with the same values are refused") {
  SweepReport report = sweep();
  report.points[4].values = report.points[3].values;
  CHECK_THROWS_WITH_AS(summary_of(report),
                       "cannot summarise the sweep: its points 'b1' and 'b2' have the same values "
                       "of all axes",
                       Error);
  std::string json = to_json(sweep());
  const std::size_t place = json.find("\"seed\": \"2\"");
  json.replace(place, 11, "\"seed\": \"1\"");
  CHECK_THROWS_WITH_AS(parse_report(json, "s.json"),
                       "cannot read report 's.json': points[1].axes has the values of another "
                       "point",
                       Error);
}

TEST_CASE("a sweep as text: groups, changes, and what is not finished") {
  SweepReport report = sweep();
  report.points[8].status = PointStatus::out_of_memory;
  report.points[8].reason = "killed by the kernel";
  report.points[8].figures = {};
  const std::string text = document_text(document_of(report));
  CHECK(text.find("  strategy  strategy.sbp.keep  finished  points           peak             "
                  "top-1  front by top-1\n") != std::string::npos);
  CHECK(text.find("  full      -                         3       3") != std::string::npos);
  CHECK(text.find("54.00 % ± 9.94 %") != std::string::npos);
  CHECK(text.find("  sbp       0.25                      2       3  fewer") != std::string::npos);
  CHECK(text.find(" -300 B ") != std::string::npos);
  CHECK(text.find(" -1.17 points ± 0.72\n") != std::string::npos);
  CHECK(text.find("killed by the kernel") != std::string::npos);
}
