#include "experiments/runs/train_run.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>

#include "experiments/data/loader.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "experiments/training/precision_spec.h"
#include "experiments/training/schedule.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::int64_t kTracedStep = 2;  // the third: the optimizer's state exists by then

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check(const TrainOptions& options, const ResolvedRun& run) {
  if (run.device.kind == DeviceId::Kind::meta) {
    throw UsageError("device 'meta' computes nothing to train with; use sbp-profile for a dry run");
  }
  if (options.steps && options.epochs)
    throw UsageError("give one of --steps and --epochs, not both");
  for (const auto& length : {options.steps, options.epochs}) {
    if (length && *length < 1)
      throw UsageError(concat("training length '", *length, "' is below 1"));
  }
  if (options.schedule != "cosine" && options.schedule != "constant") {
    throw UsageError(concat("unknown schedule '", options.schedule, "'; use cosine or constant"));
  }
  if (!(options.label_smoothing >= 0.0 && options.label_smoothing < 1.0)) {
    throw UsageError(concat("label smoothing '", options.label_smoothing, "' is outside [0, 1)"));
  }
  if (options.warmup_steps < 0 || options.crop_padding < 0 || options.evaluate_every < 0) {
    throw UsageError("warm-up steps, crop padding and evaluation interval cannot be negative");
  }
  if (!(options.evaluation_crop_ratio >= 0.0 && options.evaluation_crop_ratio <= 1.0)) {
    throw UsageError(
        concat("evaluation crop ratio '", options.evaluation_crop_ratio, "' is outside [0, 1]"));
  }
  if (!(options.learning_rate_minimum >= 0.0)) {
    throw UsageError(
        concat("minimum learning rate '", options.learning_rate_minimum, "' is negative"));
  }
}

class TrainRun {
 public:
  TrainRun(const TrainOptions& options, const Progress& progress, const ResolvedRun& run)
      : options_(options),
        progress_(progress),
        run_(run),
        data_(open_data(run.data, run.geometry, run.options.seed)),
        loader_(*data_.train, data_,
                {.batch = run.options.batch,
                 .seed = run.options.seed,
                 .flip = options.flip,
                 .crop_padding = options.crop_padding,
                 .workers = run.options.workers,
                 .augment = run.augment}),
        model_(make_model(run)),
        plan_(make_plan(run, *model_)),
        masks_(run.options.seed),
        optimizer_(make_optimizer(run.optimizer, model_->parameters())),
        trainer_(*model_, plan_, masks_, *optimizer_,
                 {.device = at::kCPU,
                  .label_smoothing = options.label_smoothing,
                  .seed = run.options.seed,
                  .precision = precision_of(run.precision)}) {
    steps_per_epoch_ = loader_.batches_per_epoch();
    if (steps_per_epoch_ < 1) {
      throw UsageError(concat("batch '", run.options.batch, "' is more than the ",
                              data_.train->size(), " training images of '", run.options.data, "'"));
    }
    schedule_ = {
        .kind = options.schedule == "cosine" ? Schedule::Kind::cosine : Schedule::Kind::constant,
        .peak = optimizer_->learning_rate(),
        .minimum = options.learning_rate_minimum,
        .warmup_steps = options.warmup_steps,
        .total_steps = options.steps.value_or(options.epochs.value_or(1) * steps_per_epoch_)};
    if (schedule_.warmup_steps > schedule_.total_steps) {
      throw UsageError(concat("warm-up steps '", schedule_.warmup_steps, "' is more than the ",
                              schedule_.total_steps, " steps of training"));
    }
  }

  reports::TrainReport run() {
    const auto start = std::chrono::steady_clock::now();
    report_.header = make_header(run_, plan_);
    add_own_configuration();
    report_.model = model_facts(run_, *model_);
    reported_kept_rows_ = trainer_.kept_rows();
    kept_row_sums_.resize(plan_.groups.size());
    for (std::int64_t epoch = 0; report_.steps < schedule_.total_steps && !report_.interrupted;
         ++epoch) {
      train_epoch(epoch);
    }
    if (!report_.interrupted) {
      if (report_.epochs.back().evaluation) {
        report_.final_evaluation = report_.epochs.back().evaluation;
      } else {
        report_.final_evaluation = evaluate();
      }
    }
    report_.plan = plan_entries(model_->sites(), plan_, reported_kept_rows_);
    add_strategy_outcome();
    if (const std::string skipped = overflow_warning(trainer_); !skipped.empty()) {
      report_.header.warnings.push_back(skipped);
      if (report_.memory && !traced_) {
        report_.header.warnings.emplace_back(
            "no traced step made an update after another: optimizer state may be missing from its "
            "memory");
      }
    }
    report_.seconds = seconds_since(start);
    return std::move(report_);
  }

 private:
  bool interrupted() {
    if (progress_.interrupted && progress_.interrupted()) report_.interrupted = true;
    return report_.interrupted;
  }

  void train_epoch(std::int64_t epoch) {
    const auto start = std::chrono::steady_clock::now();
    reports::EpochResult result;
    result.epoch = epoch + 1;
    std::int64_t samples = 0;
    loader_.start_epoch(epoch);
    while (report_.steps < schedule_.total_steps && !interrupted()) {
      const std::optional<Batch> batch = loader_.next();
      if (!batch) break;
      result.learning_rate = schedule_.at(report_.steps);
      const double loss = train_step(*batch, result.learning_rate);
      result.train_loss += loss * static_cast<double>(batch->size);
      samples += batch->size;
    }
    if (samples == 0) return;
    result.train_loss /= static_cast<double>(samples);
    result.steps = report_.steps;
    result.seconds = seconds_since(start);
    result.data_wait_seconds = loader_.wait_seconds();
    result.samples_per_second = static_cast<double>(samples) / result.seconds;
    const bool is_due = options_.evaluate_every > 0 && result.epoch % options_.evaluate_every == 0;
    if (is_due && !report_.interrupted) result.evaluation = evaluate();
    tell(result);
    report_.epochs.push_back(std::move(result));
  }

  double train_step(const Batch& batch, double rate) {
    const std::int64_t step = report_.steps;
    StepResult result;
    const bool is_due = step >= std::min(kTracedStep, schedule_.total_steps - 1);
    if (options_.profile_step && is_due && !traced_) {
      const TracedStep traced =
          traced_step(trainer_, *model_, *optimizer_, run_.device, batch, step, rate);
      report_.memory = summarise(traced.memory);
      result = traced.result;
      reported_kept_rows_ = trainer_.kept_rows();
      traced_ = updated_ && !result.skipped;
    } else {
      result = trainer_.step(batch, step, rate);
    }
    updated_ = updated_ || !result.skipped;
    const double loss = result.loss;
    count_kept_rows();
    if (!std::isfinite(loss)) {
      throw Error(concat("training diverged: the loss of step ", step + 1, " is ", loss,
                         "; use a lower learning rate than ", optimizer_->learning_rate()));
    }
    ++report_.steps;
    report_.step_losses.push_back(loss);
    if (progress_.step) {
      progress_.step(report_.steps, schedule_.total_steps, concat("loss ", loss));
    }
    return loss;
  }

  void count_kept_rows() {
    const std::vector<std::int64_t> kept = trainer_.kept_rows();
    for (std::size_t i = 0; i < kept.size(); ++i) kept_row_sums_[i] += static_cast<double>(kept[i]);
    if (!report_.memory) reported_kept_rows_ = kept;
  }

  void add_strategy_outcome() {
    std::vector<double> means(reported_kept_rows_.begin(), reported_kept_rows_.end());
    for (std::size_t i = 0; i < means.size() && report_.steps > 0; ++i) {
      means[i] = kept_row_sums_[i] / static_cast<double>(report_.steps);
    }
    report_.strategy = strategy_outcome(plan_, means);
    report_.header.warnings = mask_warnings(plan_, means);
    report_.header.warnings.insert(report_.header.warnings.end(), data_.warnings.begin(),
                                   data_.warnings.end());
  }

  double crop_ratio() const {
    const double asked = options_.evaluation_crop_ratio;
    return asked > 0.0 ? asked : data_.crop_ratio;
  }

  std::optional<reports::Evaluation> evaluate() {
    Loader loader(*data_.test, data_,
                  {.batch = run_.options.batch,
                   .shuffle = false,
                   .drop_last = false,
                   .limit = options_.evaluation_samples,
                   .workers = run_.options.workers,
                   .crop_ratio = crop_ratio()});
    const reports::Evaluation evaluation =
        trainer_.evaluate(loader, [this] { return interrupted(); });
    if (report_.interrupted) return std::nullopt;
    return evaluation;
  }

  void tell(const reports::EpochResult& result) {
    if (!progress_.line) return;
    std::ostringstream line;
    line << std::fixed << std::setprecision(4) << "epoch " << result.epoch << ": train loss "
         << result.train_loss;
    if (result.evaluation) {
      line << ", test loss " << result.evaluation->loss << ", top-1 " << result.evaluation->top1
           << ", top-5 " << result.evaluation->top5;
    }
    line << std::setprecision(1) << ", " << result.samples_per_second << " samples/s, data wait "
         << result.data_wait_seconds << " s of " << result.seconds << " s";
    progress_.line(line.str());
  }

  void add_own_configuration() {
    auto& configuration = report_.header.configuration;
    configuration.emplace_back("steps", schedule_.total_steps);
    configuration.emplace_back("steps_per_epoch", steps_per_epoch_);
    configuration.emplace_back("schedule", options_.schedule);
    configuration.emplace_back("warmup_steps", options_.warmup_steps);
    configuration.emplace_back("minimum_learning_rate", options_.learning_rate_minimum);
    configuration.emplace_back("label_smoothing", options_.label_smoothing);
    configuration.emplace_back("evaluate_every", options_.evaluate_every);
    configuration.emplace_back("evaluation_samples",
                               options_.evaluation_samples.value_or(data_.test->size()));
    configuration.emplace_back("flip", options_.flip);
    configuration.emplace_back("crop_padding", options_.crop_padding);
    configuration.emplace_back("evaluation_crop_ratio", crop_ratio());
    configuration.emplace_back("train_samples", data_.train->size());
  }

  const TrainOptions& options_;
  const Progress& progress_;
  const ResolvedRun& run_;
  DataSource data_;
  Loader loader_;
  std::unique_ptr<Model> model_;
  Plan plan_;
  KeyedMaskSource masks_;
  std::unique_ptr<Optimizer> optimizer_;
  Trainer trainer_;
  Schedule schedule_;
  std::int64_t steps_per_epoch_ = 0;
  bool updated_ = false;  // some step was not skipped
  bool traced_ = false;   // a step that made an update, after another that did
  std::vector<std::int64_t> reported_kept_rows_;  // of the traced step, or else of the last one
  std::vector<double> kept_row_sums_;             // over all steps, by mask group
  reports::TrainReport report_;
};

}  // namespace

reports::TrainReport run_train(const TrainOptions& options, const Progress& progress) {
  try {
    const ResolvedRun run = resolve_run(options);
    check(options, run);
    prepare_libtorch(run);
    check_memory(run, ZeroGrad::start);
    return TrainRun(options, progress, run).run();
  } catch (const c10::Error& error) {
    throw Error(concat("training '", options.model, "': ", error.what_without_backtrace()));
  }
}

}  // namespace sbp::experiments
