#include <doctest/doctest.h>

#include "experiments/sweep/collect.h"
#include "reports/figures.h"
#include "reports/sweep_state.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::sweep;

TEST_CASE("sweep: figures of a training report") {
  const reports::PointFigures figures = reports::figures_of(tests::sample_training());
  CHECK(figures.batch == 4);
  CHECK(figures.effective_keep_ratio == 0.52);
  CHECK(figures.peak_bytes == 3145728);
  CHECK(figures.transient_peak_bytes == 1024);
  CHECK(figures.saved_distinct_bytes == 4096);
  CHECK(figures.saved_index_bytes == 72);
  CHECK(figures.train_loss == 1.7);
  CHECK(figures.test_loss == 1.8);
  CHECK(figures.top1 == 0.5);
  CHECK(figures.top5 == 0.9);
  CHECK(figures.samples_per_second == 51.2);
  CHECK_FALSE(figures.cosine.has_value());
  CHECK_FALSE(figures.step_seconds.has_value());
  reports::TrainReport bare;
  bare.header = tests::sample_training().header;
  reports::PointFigures none;
  none.batch = 4;
  none.effective_keep_ratio = 1.0;
  CHECK(reports::figures_of(bare) == none);
  bare.fidelity.resize(2);
  bare.fidelity[0].agreement.cosine = 0.1;
  bare.fidelity[1].agreement.cosine = 0.2;
  bare.fidelity[1].cosine_over_layers.mean = 0.3;
  CHECK(reports::figures_of(bare).cosine == 0.2);
  CHECK(reports::figures_of(bare).mean_layer_cosine == 0.3);
}

TEST_CASE("sweep: figures of a profile and of a correlation") {
  const reports::PointFigures profile = reports::figures_of(tests::sample_profile());
  CHECK(profile.peak_bytes == 3145728);
  CHECK(profile.step_seconds == 0.05);
  CHECK(profile.samples_per_second == 80.0);
  CHECK_FALSE(profile.top1.has_value());
  reports::CorrelateReport correlation;
  correlation.header = tests::sample_training().header;
  reports::StrategyFidelity strategy;
  strategy.agreement.cosine = 0.9;
  strategy.agreement.relative_error = 0.4;
  strategy.over_layers.cosine.mean = 0.8;
  strategy.over_layers.cosine.minimum = 0.7;
  strategy.noise.noise_ratio = 0.3;
  strategy.peak_bytes = 77;
  reports::LayerFidelity layer;
  layer.local_cosine = 0.5;
  strategy.layers = {layer, layer, {}};
  strategy.layers[1].local_cosine = 1.0;
  correlation.strategies = {strategy};
  const reports::PointFigures figures = facts_of(correlation, "correlate", {}).figures;
  CHECK(figures.cosine == 0.9);
  CHECK(figures.relative_error == 0.4);
  CHECK(figures.mean_layer_cosine == 0.8);
  CHECK(figures.minimum_layer_cosine == 0.7);
  CHECK(figures.local_cosine == 0.75);
  CHECK(figures.noise_ratio == 0.3);
  CHECK(figures.peak_bytes == 77);
  // Which of two would it be?
  correlation.strategies.push_back(strategy);
  CHECK_FALSE(facts_of(correlation, "correlate", {}).figures.cosine.has_value());
}

TEST_CASE("sweep: only a whole report of the point's own command counts") {
  reports::TrainReport report = tests::sample_training();
  report.header.command_line = {"sbp-train", "--seed", "1", "--quiet"};
  const auto complaint = [&](const std::string& command, const std::vector<std::string>& words) {
    return tests::error_text([&] { (void)facts_of(report, command, words); });
  };
  CHECK(complaint("train", {"--seed", "1"}) == "");
  CHECK(complaint("profile", {"--seed", "1"}) == "it is a report of sbp-train, not of sbp-profile");
  CHECK(complaint("train", {"--seed", "2"}) ==
        "it is a report of other options than this point has");
  CHECK(complaint("train", {"--seed", "1", "--quiet", "--flip"}) != "");
  report.interrupted = true;
  CHECK(complaint("train", {"--seed", "1"}) == "it is of a run that was interrupted");
  CHECK(tests::error_text([&] { (void)facts_of(tests::sample_sweep(), "train", {}); }) ==
        "it is a report of sbp-sweep, not of sbp-train");
}

TEST_CASE("sweep: what the folder remembers is written and read alike") {
  reports::PointFailure failure;
  failure.id = "0a";
  failure.axes = {{"seed", "1"}};
  failure.command_line = {"sbp-train", "--seed", "1"};
  failure.status = reports::PointStatus::killed;
  failure.reason = "why";
  failure.signal = 9;
  failure.seconds = 0.1;
  failure.last_words = "a\nb";
  CHECK(reports::parse_failure(reports::to_json(failure), "f") == failure);
  reports::SweepPlanRecord record;
  record.version = "1";
  record.command = "train";
  record.base = {{"batch", "8"}};
  record.axes = {{"seed", {"1"}}};
  record.exclude = {"seed=1"};
  record.equal_peak = true;
  record.points = {"0a"};
  CHECK(reports::parse_plan_record(reports::to_json(record), "p") == record);
  CHECK_THROWS_AS(reports::parse_plan_record("{\"version\": 1}", "p"), Error);
  CHECK_THROWS_AS(reports::parse_failure("", "f"), Error);
}
