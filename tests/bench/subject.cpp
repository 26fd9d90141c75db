#include "tests/bench/subject.h"

#include <algorithm>
#include <cmath>

#include "sbp/random.h"

namespace sbp::experiments {
namespace {

ResolvedRun resolved(const RunOptions& options) {
  const ResolvedRun run = resolve_run(options);
  prepare_libtorch(run);
  return run;
}

}  // namespace

Subject::Subject(const RunOptions& options)
    : run_(resolved(options)),
      model_(make_model(run_)),
      plan_(make_plan(run_, *model_)),
      masks_(0),
      optimizer_(make_optimizer(run_.optimizer, model_->parameters())),
      trainer_(*model_, plan_, masks_, *optimizer_, trainer_options(run_)) {
  const DataSource data = open_data(run_.data, run_.geometry, 0);
  Loader loader(*data.train, data, {.batch = run_.options.batch, .prefetch = 0});
  loader.start_epoch(0);
  batch_ = *loader.next();
  for (int i = 0; i < 2; ++i) step();
}

StepDurations Subject::step() {
  return trainer_.step(batch_, step_++, 1e-4).seconds;
}

TracedStep Subject::traced() {
  return traced_step(
      trainer_, *model_, *optimizer_, run_.device,
      [this](std::int64_t) -> const Batch& { return batch_; }, step_++, 1e-4);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

Comparison compare(int pairs, const std::function<double()>& a, const std::function<double()>& b) {
  RandomStream order({.seed = 1, .purpose = Purpose::sampling});
  std::vector<double> ratios, of_a, of_b;
  for (int i = 0; i < pairs; ++i) {
    const bool a_first = order.below(2) == 0;
    double first = a_first ? a() : b();
    double second = a_first ? b() : a();
    if (!a_first) std::swap(first, second);
    of_a.push_back(first);
    of_b.push_back(second);
    ratios.push_back(first / second);
  }
  std::ranges::sort(ratios);
  const auto low = static_cast<std::size_t>(
      std::max(0.0, std::floor(0.5 * pairs - 0.98 * std::sqrt(static_cast<double>(pairs)))));
  return {.ratio = median(ratios),
          .low = ratios[low],
          .high = ratios[ratios.size() - 1 - low],
          .least_ratio = *std::ranges::min_element(of_a) / *std::ranges::min_element(of_b),
          .median_a = median(of_a),
          .median_b = median(of_b)};
}

}  // namespace sbp::experiments
