#include "experiments/runs/train_run.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>

#include "experiments/data/loader.h"
#include "experiments/runs/environment.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "experiments/training/schedule.h"
#include "reports/format.h"
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
  (void)schedule_spec(options);  // early: before the data is opened
  if (!(options.label_smoothing >= 0.0 && options.label_smoothing < 1.0)) {
    throw UsageError(concat("label smoothing '", options.label_smoothing, "' is outside [0, 1)"));
  }
  if (options.warmup_steps < 0 || options.crop_padding < 0 || options.evaluate_every < 0) {
    throw UsageError("warm-up steps, crop padding and evaluation interval cannot be negative");
  }
  if (!(options.learning_rate_minimum >= 0.0)) {
    throw UsageError(
        concat("minimum learning rate '", options.learning_rate_minimum, "' is negative"));
  }
}

TrainerOptions step_options(const TrainOptions& options) {
  TrainerOptions step = trainer_options(options, at::kCPU);
  step.label_smoothing = options.label_smoothing;
  return step;
}

// A mask is keyed by the number of its batch, in 32 bits.
void check_mask_keys(std::int64_t steps, std::int64_t accumulate) {
  constexpr std::int64_t kKeys = std::int64_t{1} << 32;
  if (steps <= kKeys / accumulate) return;
  throw UsageError(concat("training of '", steps, "' steps of '", accumulate,
                          "' batches has more batches than the ", kKeys,
                          " that masks are drawn for"));
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
                 .crop_padding = options.crop_padding}),
        model_(make_model(run)),
        plan_(make_plan(run, *model_)),
        masks_(run.options.seed),
        optimizer_(make_optimizer(run.optimizer, model_->parameters())),
        trainer_(*model_, plan_, masks_, *optimizer_, step_options(options)) {
    steps_per_epoch_ = loader_.batches_per_epoch() / options.accumulate;
    if (steps_per_epoch_ < 1) {
      throw UsageError(concat("batch '", run.options.batch, "', accumulated '", options.accumulate,
                              "' times, is more than the ", data_.train->size(),
                              " training images of '", run.options.data, "'"));
    }
    const std::int64_t epochs = options.epochs.value_or(1);
    schedule_ = make_schedule(options, optimizer_->learning_rate(),
                              {.steps_per_epoch = steps_per_epoch_,
                               .total_steps = options.steps.value_or(epochs * steps_per_epoch_)});
    check_mask_keys(schedule_.total_steps, options.accumulate);
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
      const reports::EpochResult& last = report_.epochs.back();
      report_.final_evaluation = last.evaluation ? last.evaluation : evaluate();
      report_.final_averaged_evaluation =
          last.averaged_evaluation ? last.averaged_evaluation : evaluate_average();
    }
    report_.plan = plan_entries(model_->sites(), plan_, reported_kept_rows_);
    add_strategy_outcome();
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
    for (std::int64_t i = 0; i < steps_per_epoch_; ++i) {
      if (report_.steps >= schedule_.total_steps || interrupted()) break;
      result.learning_rate = schedule_.at(report_.steps);
      const std::int64_t step_samples = options_.batch * options_.accumulate;
      const double loss = train_step(result.epoch, result.learning_rate);
      result.train_loss += loss * static_cast<double>(step_samples);
      samples += step_samples;
    }
    if (samples == 0) return;
    result.train_loss /= static_cast<double>(samples);
    result.steps = report_.steps;
    result.seconds = seconds_since(start);
    result.data_wait_seconds = loader_.wait_seconds();
    result.samples_per_second = static_cast<double>(samples) / result.seconds;
    const bool is_due = options_.evaluate_every > 0 && result.epoch % options_.evaluate_every == 0;
    if (is_due && !report_.interrupted) result.evaluation = evaluate();
    if (is_due && !report_.interrupted) result.averaged_evaluation = evaluate_average();
    result.resident_bytes = resident_bytes();
    tell(result);
    report_.epochs.push_back(std::move(result));
  }

  const Batch& next_batch() {
    std::optional<Batch> batch = loader_.next();
    if (!batch) throw Error("the training data ended in the middle of an epoch");
    batch_ = std::move(*batch);
    return batch_;
  }

  double train_step(std::int64_t epoch, double rate) {
    const std::int64_t step = report_.steps;
    const NextBatch next = [this](std::int64_t) -> const Batch& { return next_batch(); };
    StepResult result;
    if (options_.profile_step && step == std::min(kTracedStep, schedule_.total_steps - 1)) {
      const TracedStep traced =
          traced_step(trainer_, *model_, *optimizer_, run_.device, next, step, rate);
      report_.memory = summarise(traced.memory);
      result = traced.result;
      reported_kept_rows_ = trainer_.kept_rows();
    } else {
      result = trainer_.step(next, step, rate);
    }
    if (!result.problem.empty()) {
      throw Error(concat("training diverged in step ", step + 1, " of epoch ", epoch,
                         ", at learning rate ", rate, ": ", result.problem,
                         "; use a lower learning rate, warm-up, or --clip-norm"));
    }
    count_kept_rows();
    const double loss = result.loss;
    ++report_.steps;
    report_.step_losses.push_back(loss);
    if (progress_.step) {
      progress_.step(report_.steps, schedule_.total_steps, concat("loss ", loss));
    }
    return loss;
  }

  void count_kept_rows() {
    const std::vector<double>& kept = trainer_.mean_kept_rows();
    for (std::size_t i = 0; i < kept.size(); ++i) kept_row_sums_[i] += kept[i];
    if (!report_.memory) reported_kept_rows_ = trainer_.kept_rows();
  }

  void add_strategy_outcome() {
    std::vector<double> means(reported_kept_rows_.begin(), reported_kept_rows_.end());
    for (std::size_t i = 0; i < means.size() && report_.steps > 0; ++i) {
      means[i] = kept_row_sums_[i] / static_cast<double>(report_.steps);
    }
    report_.strategy = strategy_outcome(plan_, means);
    report_.header.warnings = mask_warnings(plan_, means);
  }

  std::optional<reports::Evaluation> evaluate() {
    Loader loader(*data_.test, data_,
                  {.batch = run_.options.batch,
                   .shuffle = false,
                   .drop_last = false,
                   .limit = options_.evaluation_samples});
    const reports::Evaluation evaluation =
        trainer_.evaluate(loader, [this] { return interrupted(); });
    if (report_.interrupted) return std::nullopt;
    return evaluation;
  }

  std::optional<reports::Evaluation> evaluate_average() {
    if (trainer_.average() == nullptr) return std::nullopt;
    const WithAverage averaged(trainer_.average());
    return evaluate();
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
    if (result.averaged_evaluation) {
      line << ", averaged loss " << result.averaged_evaluation->loss << ", top-1 "
           << result.averaged_evaluation->top1;
    }
    line << std::defaultfloat << ", learning rate " << result.learning_rate << std::fixed
         << std::setprecision(1) << ", " << result.samples_per_second << " samples/s, data wait "
         << result.data_wait_seconds << " s of " << result.seconds << " s";
    if (report_.memory) line << ", peak " << reports::bytes_text(report_.memory->peak_bytes);
    if (result.resident_bytes) {
      line << ", resident " << reports::bytes_text(*result.resident_bytes);
    }
    progress_.line(line.str());
  }

  void add_own_configuration() {
    auto& configuration = report_.header.configuration;
    configuration.emplace_back("steps", schedule_.total_steps);
    configuration.emplace_back("steps_per_epoch", steps_per_epoch_);
    configuration.emplace_back("schedule", to_string(schedule_spec(options_)));
    configuration.emplace_back("warmup_steps", schedule_.warmup_steps);
    configuration.emplace_back("warmup_start", schedule_.warmup_start);
    configuration.emplace_back("minimum_learning_rate", schedule_.minimum);
    configuration.emplace_back("label_smoothing", options_.label_smoothing);
    configuration.emplace_back("evaluate_every", options_.evaluate_every);
    configuration.emplace_back("evaluation_samples",
                               options_.evaluation_samples.value_or(data_.test->size()));
    configuration.emplace_back("flip", options_.flip);
    configuration.emplace_back("crop_padding", options_.crop_padding);
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
  Batch batch_;  // in hand
  std::int64_t steps_per_epoch_ = 0;
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
