#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "reports/json.h"
#include "reports/sweep_points.h"
#include "reports/text.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

SweepReport again(const SweepReport& report) {
  return std::get<SweepReport>(parse_report(to_json(report), "sweep.json"));
}

std::string complaint(const std::string& old_part, const std::string& new_part) {
  std::string json = to_json(tests::sample_sweep());
  const std::size_t place = json.find(old_part);
  REQUIRE(place != std::string::npos);
  try {
    (void)parse_report(json.replace(place, old_part.size(), new_part), "sweep.json");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// Every figure, each another number.
PointFigures all_figures() {
  PointFigures figures;
  int next = 1;
  each_figure(figures, [&](const char*, auto& value) { value = next++; });
  return figures;
}

}  // namespace

TEST_CASE("a sweep is written and read alike") {
  SweepReport report = tests::sample_sweep();
  CHECK(again(report) == report);
  report.points[0].figures = all_figures();
  CHECK(again(report) == report);
  report.points.clear();
  report.axes.clear();
  CHECK(again(report) == report);
}

TEST_CASE("every figure has a name of its own") {
  const PointFigures figures = all_figures();
  std::set<std::string> names;
  double sum = 0.0;
  each_figure(figures, [&](const char* name, const auto& value) {
    CHECK(names.insert(name).second);
    sum += static_cast<double>(value.value());
  });
  CHECK(names.size() == 25);
  CHECK(sum == 25 * 26 / 2);  // no member stands twice
}

TEST_CASE("a point has the figures that its report has, and says what is not finite") {
  SweepReport report = tests::sample_sweep();
  report.points[0].figures = {};
  report.points[0].figures.train_loss = std::numeric_limits<double>::quiet_NaN();
  const std::string json = to_json(report);
  CHECK(json.find("\"figures\": {\n        \"train_loss\": null,\n        "
                  "\"train_loss_reason\": \"not a number\"\n      }") != std::string::npos);
  const SweepReport read = again(report);
  REQUIRE(read.points[0].figures.train_loss.has_value());
  CHECK(std::isnan(*read.points[0].figures.train_loss));
  CHECK_FALSE(read.points[0].figures.top1.has_value());
}

TEST_CASE("an axis that names nothing of a point is null, with the reason") {
  CHECK(to_json(tests::sample_sweep())
            .find("\"strategy.sbp.keep\": null,\n        \"strategy.sbp.keep_reason\": ") !=
        std::string::npos);
}

TEST_CASE("points of a hand-edited sweep are refused where they cannot be told apart") {
  CHECK(complaint("\"id\": \"00000000000000ab\"", "\"id\": \"00000000000000aa\"") ==
        "cannot read report 'sweep.json': points[1].id is '00000000000000aa', which another point "
        "has");
  CHECK(complaint("\"id\": \"00000000000000ab\"", "\"id\": \"../ab\"") ==
        "cannot read report 'sweep.json': points[1].id is '../ab', not hexadecimal digits");
  CHECK(complaint("\"name\": \"strategy.sbp.keep\"", "\"name\": \"strategy\"") ==
        "cannot read report 'sweep.json': axes[1].name is 'strategy', which another axis is "
        "called");
  CHECK(complaint("\"strategy\": \"sbp\"", "\"strategi\": \"sbp\"") ==
        "cannot read report 'sweep.json': points[1].axes.strategy is missing");
  CHECK(complaint("\"status\": \"killed\"", "\"status\": \"eaten\"") ==
        "cannot read report 'sweep.json': points[1].status is 'eaten', not one of finished, "
        "failed, out_of_memory, killed, not_run");
  CHECK(complaint("\"peak_bytes\": 3145728", "\"peak_bytes\": 3.5") ==
        "cannot read report 'sweep.json': points[0].figures.peak_bytes must be a whole number, "
        "not number");
}

TEST_CASE("a sweep as text says what was not finished and why") {
  const std::string text = to_text(tests::sample_sweep());
  CHECK(text.find("3: 1 finished, 1 killed, 1 not run") != std::string::npos);
  CHECK(text.find("killed by signal 9") != std::string::npos);
  CHECK(text.find("00000000000000ac") == std::string::npos);
  CHECK(text.find("only one timed step") != std::string::npos);
}
