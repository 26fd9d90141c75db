#include "experiments/runs/train_run.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "experiments/data/loader.h"
#include "experiments/runs/environment.h"
#include "experiments/runs/resumption.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/scalar_log.h"
#include "experiments/runs/traced_step.h"
#include "experiments/runs/train_tally.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/checkpoint_folder.h"
#include "experiments/training/initial_weights.h"
#include "experiments/training/schedule.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::int64_t kTracedStep = 2;  // the third: the optimizer's state exists by then

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_persistence(const TrainOptions& options) {
  const CheckpointOptions& checkpoint = options.checkpoint;
  if (checkpoint.resume && checkpoint.folder.empty()) {
    throw UsageError("--resume needs --checkpoint DIR, the folder of the run to go on with");
  }
  if (!options.evaluate_only) return;
  if (checkpoint.resume) throw UsageError("give one of --evaluate and --resume, not both");
  if (options.init.empty() == checkpoint.folder.empty()) {
    throw UsageError(
        "--evaluate needs weights: give one of --init FILE and --checkpoint DIR, not both");
  }
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
  if (!(options.learning_rate_minimum >= 0.0)) {
    throw UsageError(
        concat("minimum learning rate '", options.learning_rate_minimum, "' is negative"));
  }
  check_persistence(options);
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
        trainer_(*model_, plan_, masks_, *optimizer_,
                 {.device = at::kCPU, .label_smoothing = options.label_smoothing}) {
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
    begin_report();
    open_checkpoints();
    if (!report_.resumed_from) load_initial();
    if (!options_.tensorboard.empty()) log_.emplace(options_.tensorboard, report_.resumed_from);
    while (!report_.interrupted && (report_.steps < schedule_.total_steps || epoch_.samples > 0)) {
      train_epoch();
    }
    if (!report_.interrupted) {
      report_.final_evaluation = report_.epochs.back().evaluation;
      if (!report_.final_evaluation) report_.final_evaluation = evaluate();
    }
    return finish_report();
  }

  reports::TrainReport evaluate_only() {
    begin_report();
    if (options_.init.empty()) {
      const std::string& folder = options_.checkpoint.folder;
      read_weights(open_tensors(folder, read_checkpoint(folder)), folder, *model_, {});
    } else {
      load_initial();
    }
    report_.final_evaluation = evaluate();
    return finish_report();
  }

 private:
  void begin_report() {
    report_.header = make_header(run_, plan_);
    add_own_configuration();
    report_.model = model_facts(run_, *model_);
    rows_.reported = trainer_.kept_rows();
    rows_.sums.resize(plan_.groups.size());
  }

  reports::TrainReport finish_report() {
    report_.plan = plan_entries(model_->sites(), plan_, rows_.reported);
    const std::vector<double> kept = rows_.means(report_.steps);
    report_.strategy = strategy_outcome(plan_, kept);
    if (report_.steps > 0) {
      for (std::string& warning : mask_warnings(plan_, kept)) warn(std::move(warning));
    }
    report_.weights_checksum = weights_checksum(*model_);
    report_.seconds = seconds_before_ + seconds_since(start_);
    return std::move(report_);
  }

  void warn(std::string warning) { report_.header.warnings.push_back(std::move(warning)); }
  void tell(const std::string& line) {
    if (progress_.line) progress_.line(line);
  }

  void load_initial() {
    if (options_.init.empty()) return;
    const InitialWeights initial = load_initial_weights(options_.init, *model_);
    tell(concat(initial.placed, " tensors taken from '", options_.init, "'"));
    for (const std::string& warning : initial.warnings) {
      tell(warning);
      warn(warning);
    }
  }

  void open_checkpoints() {
    const CheckpointOptions& options = options_.checkpoint;
    if (options.folder.empty()) return;
    using Start = CheckpointFolder::Start;
    const Start start =
        options.resume ? Start::resume : (options.replace ? Start::replace : Start::fresh);
    checkpoints_.emplace(options.folder, start, options.keep);
    if (checkpoints_->found()) {
      resume(*checkpoints_->found());
    } else if (options.resume) {
      tell(concat("no checkpoint in '", options.folder, "' yet; starting at the first step"));
    }
  }

  void resume(const reports::Checkpoint& checkpoint) {
    const std::vector<std::string> warnings = check_resumption(checkpoint, report_.header);
    const SafetensorsFile tensors = open_tensors(checkpoints_->path(), checkpoint);
    const std::string path = checkpoints_->tensor_path(checkpoint.step);
    read_weights(tensors, path, *model_, {});
    read_optimizer(tensors, checkpoint.step, *optimizer_);
    check_nothing_else(tensors, path, *model_, *optimizer_, {});
    last_saved_ = checkpoint.step;
    const reports::Header header = std::move(report_.header);
    report_ = checkpoint.report;
    report_.header.command_line = header.command_line;
    report_.header.configuration = header.configuration;
    report_.header.environment = header.environment;
    report_.resumed_from = checkpoint.step;
    report_.interrupted = false;
    seconds_before_ = report_.seconds;
    epoch_number_ = checkpoint.epoch;
    next_batch_ = checkpoint.batch_in_epoch;
    restore(epoch_, checkpoint.scalars);
    restore(rows_, checkpoint.scalars);
    for (const std::string& warning : warnings) {
      tell(warning);
      warn(warning);
    }
  }

  // Between two steps; `epoch`: the epoch in hand.
  void save(const EpochTally& epoch) {
    if (!checkpoints_) return;
    reports::Checkpoint checkpoint;
    checkpoint.step = report_.steps;
    checkpoint.epoch = epoch_number_;
    checkpoint.batch_in_epoch = next_batch_;
    checkpoint.report = report_;
    checkpoint.report.interrupted = false;
    checkpoint.report.seconds = seconds_before_ + seconds_since(start_);
    store(epoch, checkpoint.scalars);
    store(rows_, checkpoint.scalars);
    const FileFacts facts =
        write_tensors(checkpoints_->tensor_path(report_.steps), *model_, *optimizer_, {});
    checkpoint.tensors = {.name = checkpoints_->tensor_name(report_.steps),
                          .bytes = facts.bytes,
                          .checksum = checksum_text(facts.crc32)};
    checkpoints_->commit(checkpoint);
    last_saved_ = report_.steps;
  }

  bool is_saving_due_by_steps() const {
    const std::int64_t every = options_.checkpoint.every_steps;
    return every > 0 && report_.steps % every == 0;
  }

  bool interrupted() {
    if (progress_.interrupted && progress_.interrupted()) report_.interrupted = true;
    return report_.interrupted;
  }

  EpochTally epoch_now() const {
    EpochTally tally = epoch_;
    tally.seconds += seconds_since(epoch_start_);
    tally.data_wait_seconds += loader_.wait_seconds();
    return tally;
  }

  void train_epoch() {
    epoch_start_ = std::chrono::steady_clock::now();
    loader_.start_epoch(epoch_number_, next_batch_);
    while (report_.steps < schedule_.total_steps && !interrupted()) {
      const std::optional<Batch> batch = loader_.next();
      if (!batch) break;
      epoch_.learning_rate = schedule_.at(report_.steps);
      const double loss = train_step(*batch, epoch_.learning_rate);
      epoch_.loss_sum += loss * static_cast<double>(batch->size);
      epoch_.samples += batch->size;
      ++next_batch_;
      const bool goes_on = next_batch_ < steps_per_epoch_ && report_.steps < schedule_.total_steps;
      if (goes_on && is_saving_due_by_steps()) save(epoch_now());
    }
    epoch_ = epoch_now();
    epoch_start_ = std::chrono::steady_clock::now();
    close_epoch();
  }

  // A checkpoint holds either an epoch that goes on or one that is closed and evaluated, so that a
  // run that is interrupted in between, or made longer, is the one without interruption.
  void close_epoch() {
    const bool is_complete = next_batch_ == steps_per_epoch_;
    reports::EpochResult result = epoch_result();
    if (!is_complete && !report_.interrupted) save(epoch_);
    const bool is_due = options_.evaluate_every > 0 && result.epoch % options_.evaluate_every == 0;
    if (is_due && !report_.interrupted) result.evaluation = evaluate();
    if (report_.interrupted) {
      save(epoch_);
      tell_how_to_resume();
    }
    if (epoch_.samples == 0) return;
    tell(epoch_line(result, resident_bytes().value_or(0)));
    if (log_) log_->add_epoch(result);
    report_.epochs.push_back(std::move(result));
    epoch_ = {};
    ++epoch_number_;
    next_batch_ = 0;
    if (!report_.interrupted && is_complete && is_saving_due_at_end_of_epoch()) save(epoch_);
  }

  bool is_saving_due_at_end_of_epoch() const {
    const std::int64_t every = options_.checkpoint.every_epochs;
    return (every > 0 && epoch_number_ % every == 0) || is_saving_due_by_steps() ||
           report_.steps == schedule_.total_steps;
  }

  void tell_how_to_resume() {
    if (!checkpoints_) return;
    tell(concat("checkpoint of step ", report_.steps, " is in '", checkpoints_->path(),
                "'; the same command with --resume goes on from it"));
  }

  reports::EpochResult epoch_result() const {
    reports::EpochResult result;
    result.epoch = epoch_number_ + 1;
    result.steps = report_.steps;
    result.learning_rate = epoch_.learning_rate;
    result.seconds = epoch_.seconds;
    result.data_wait_seconds = epoch_.data_wait_seconds;
    if (epoch_.samples > 0) {
      const auto samples = static_cast<double>(epoch_.samples);
      result.train_loss = epoch_.loss_sum / samples;
      result.samples_per_second = samples / epoch_.seconds;
    }
    return result;
  }

  double train_step(const Batch& batch, double rate) {
    const std::int64_t step = report_.steps;
    double loss = 0.0;
    const bool is_traced = options_.profile_step && !report_.memory &&
                           step == std::min(kTracedStep, schedule_.total_steps - 1);
    if (is_traced) {
      const TracedStep traced =
          traced_step(trainer_, *model_, *optimizer_, run_.device, batch, step, rate);
      report_.memory = summarise(traced.memory);
      loss = traced.result.loss;
    } else {
      loss = trainer_.step(batch, step, rate).loss;
    }
    rows_.add(trainer_.kept_rows(), is_traced || !report_.memory);
    check_finite(loss);
    ++report_.steps;
    report_.step_losses.push_back(loss);
    if (log_) {
      log_->add_step(report_.steps, loss, rate);
      if (is_traced) log_->add_memory(report_.steps, *report_.memory);
    }
    if (progress_.step) {
      progress_.step(report_.steps, schedule_.total_steps, concat("loss ", loss));
    }
    return loss;
  }

  void check_finite(double loss) const {
    if (std::isfinite(loss)) return;
    std::string sentence =
        concat("training diverged: the loss of step ", report_.steps + 1, " is ", loss,
               "; use a lower learning rate than ", optimizer_->learning_rate());
    if (last_saved_) {
      sentence += concat("; the checkpoint of step ", *last_saved_, " stays in '",
                         checkpoints_->path(), "'");
    }
    throw Error(sentence);
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
    configuration.emplace_back("train_samples", data_.train->size());
    if (!options_.init.empty()) configuration.emplace_back("init", options_.init);
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
  KeptRowTally rows_;
  std::optional<CheckpointFolder> checkpoints_;
  std::optional<std::int64_t> last_saved_;  // step
  std::optional<ScalarLog> log_;
  std::int64_t epoch_number_ = 0;  // in hand, from 0
  std::int64_t next_batch_ = 0;    // of that epoch
  EpochTally epoch_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point epoch_start_ = start_;
  double seconds_before_ = 0.0;  // of a run that this one goes on with
  reports::TrainReport report_;
};

}  // namespace

reports::TrainReport run_train(const TrainOptions& options, const Progress& progress) {
  try {
    const ResolvedRun run = resolve_run(options);
    check(options, run);
    prepare_libtorch(run);
    if (options.evaluate_only) return TrainRun(options, progress, run).evaluate_only();
    check_memory(run, ZeroGrad::start);
    return TrainRun(options, progress, run).run();
  } catch (const c10::Error& error) {
    throw Error(concat("training '", options.model, "': ", error.what_without_backtrace()));
  }
}

}  // namespace sbp::experiments
