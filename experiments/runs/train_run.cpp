#include "experiments/runs/train_run.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>

#include "experiments/data/loader.h"
#include "experiments/data/weight_names.h"
#include "experiments/runs/environment.h"
#include "experiments/runs/plan_report.h"
#include "experiments/runs/resumption.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/scalar_log.h"
#include "experiments/runs/traced_step.h"
#include "experiments/runs/train_tally.h"
#include "experiments/runs/training_fidelity.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/checkpoint_folder.h"
#include "experiments/training/initial_weights.h"
#include "experiments/training/precision_spec.h"
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
  const CheckpointOptions none;
  if (checkpoint.folder.empty() &&
      (checkpoint.every_epochs != none.every_epochs || checkpoint.every_steps != none.every_steps ||
       checkpoint.keep != none.keep)) {
    throw UsageError(
        "--checkpoint-every, --checkpoint-every-steps and --keep-checkpoints need --checkpoint "
        "DIR, the folder to write to");
  }
  if (!options.evaluate_only) return;
  if (checkpoint.resume) throw UsageError("give one of --evaluate and --resume, not both");
  if (options.init.empty() == checkpoint.folder.empty()) {
    throw UsageError(
        "--evaluate needs weights: give one of --init FILE and --checkpoint DIR, not both");
  }
}

}  // namespace

void check_training(const TrainOptions& options, const ResolvedRun& run) {
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
  if (options.warmup_steps < 0 || options.crop_padding < 0 || options.evaluate_every < 0 ||
      options.fidelity_every < 0) {
    throw UsageError(
        "warm-up steps, crop padding and the intervals of evaluation and fidelity cannot be "
        "negative");
  }
  if (!(options.evaluation_crop_ratio >= 0.0 && options.evaluation_crop_ratio <= 1.0)) {
    throw UsageError(
        concat("evaluation crop ratio '", options.evaluation_crop_ratio, "' is outside [0, 1]"));
  }
  if (!(options.learning_rate_minimum >= 0.0)) {
    throw UsageError(
        concat("minimum learning rate '", options.learning_rate_minimum, "' is negative"));
  }
  if (options.fidelity_every > 0 && precision_of(run.precision).low == at::kHalf) {
    throw UsageError(
        "precision 'fp16' scales its loss, and --fidelity-every compares gradients; use bf16 or "
        "fp32, or leave --fidelity-every out");
  }
  check_persistence(options);
}

std::int64_t training_peak_bytes(const TrainOptions& options, const ResolvedRun& run) {
  const std::int64_t step = step_peak_bytes(run, ZeroGrad::start);
  // The exact gradient, while the other one is taken.
  return options.fidelity_every > 0 ? step + 2 * parameter_bytes(run) : step;
}

UsageError batch_too_large(const ResolvedRun& run, std::int64_t images) {
  const std::int64_t accumulate = run.options.accumulate;
  const std::string times = accumulate > 1 ? concat(", accumulated '", accumulate, "' times,") : "";
  return UsageError(concat("batch '", run.options.batch, "'", times, " is more than the ", images,
                           " training images of '", run.options.data, "'"));
}

namespace {

TrainerOptions step_options(const TrainOptions& options, const ResolvedRun& run) {
  TrainerOptions step = trainer_options(run);
  step.label_smoothing = options.label_smoothing;
  return step;
}

bool has_averages(const SafetensorsFile& file) {
  return std::ranges::any_of(
      file.tensors(), [](const auto& item) { return item.first.starts_with(kAveragePrefix); });
}

NamedTensors averages_of(const Trainer& trainer) {
  NamedTensors averages;
  if (const ModelAverage* average = trainer.average()) {
    average->for_each([&](const std::string& name, const at::Tensor& value, LayerId) {
      averages.emplace_back(name, value);
    });
  }
  return averages;
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
                 .crop_padding = options.crop_padding,
                 .workers = run.options.workers,
                 .augment = run.augment}),
        model_(make_model(run)),
        plan_(make_plan(run, *model_)),
        masks_(run.options.seed),
        optimizer_(make_optimizer(run.optimizer, model_->parameters())),
        trainer_(*model_, plan_, masks_, *optimizer_, step_options(options, run)) {
    steps_per_epoch_ = loader_.batches_per_epoch() / options.accumulate;
    if (steps_per_epoch_ < 1) throw batch_too_large(run, data_.train->size());
    const std::int64_t epochs = options.epochs.value_or(1);
    schedule_ = make_schedule(options, optimizer_->learning_rate(),
                              {.steps_per_epoch = steps_per_epoch_,
                               .total_steps = options.steps.value_or(epochs * steps_per_epoch_)});
    check_mask_keys(schedule_.total_steps, options.accumulate);
    if (options.fidelity_every > 0) {
      fidelity_.emplace(*model_, masks_, *optimizer_, step_options(options, run));
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
      const reports::EpochResult& last = report_.epochs.back();
      report_.final_evaluation = last.evaluation ? last.evaluation : evaluate();
      report_.final_averaged_evaluation =
          last.averaged_evaluation ? last.averaged_evaluation : evaluate_average();
    }
    return finish_report();
  }

  reports::TrainReport evaluate_only() {
    begin_report();
    if (options_.init.empty()) {
      const std::string& folder = options_.checkpoint.folder;
      const SafetensorsFile tensors = open_tensors(folder, read_checkpoint(folder));
      read_weights(tensors, folder, *model_, averages_of(trainer_));
      if (trainer_.average() == nullptr && has_averages(tensors)) {
        warn(concat("the checkpoint in '", folder,
                    "' holds averaged weights too; with --ema they are evaluated as well"));
      }
    } else {
      load_initial();
    }
    report_.final_evaluation = evaluate();
    report_.final_averaged_evaluation = evaluate_average();
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
    const bool masked_only = report_.steps == 0 && plan_.masks_in_evaluation;
    if (masked_only) rows_.reported = trainer_.kept_rows();  // of the last batch evaluated
    report_.plan = plan_entries(model_->sites(), plan_, rows_.reported);
    const std::vector<double> kept = rows_.means(report_.steps);
    report_.strategy = strategy_outcome(plan_, kept);
    if (report_.steps > 0 || masked_only) {
      for (std::string& warning : plan_warnings(plan_, kept)) warn(std::move(warning));
    }
    for (std::string& warning : trainer_.code_warnings()) warn(std::move(warning));
    add_overflow_warnings();
    for (const std::string& warning : data_.warnings) warn(warning);
    report_.weights_checksum = weights_checksum(*model_);
    report_.seconds = seconds_before_ + seconds_since(start_);
    return std::move(report_);
  }

  void add_overflow_warnings() {
    const std::string skipped = overflow_warning(trainer_);
    if (skipped.empty()) return;
    warn(skipped);
    if (!report_.memory || updates_.traced) return;
    warn(
        "no traced step made an update after another: optimizer state may be missing from its "
        "memory");
  }

  void warn(std::string warning) { report_.header.warnings.push_back(std::move(warning)); }
  void tell(const std::string& line) {
    if (progress_.line) progress_.line(line);
  }

  void load_initial() {
    if (options_.init.empty()) return;
    const InitialWeights initial = load_initial_weights(options_.init, *model_);
    if (trainer_.average() != nullptr) trainer_.average()->restart();
    if (options_.evaluate_only && initial.left > 0) {
      throw Error(concat("cannot evaluate '", options_.init, "': ", initial.left,
                         " tensors of the model would keep their initial values; ",
                         initial.warnings.front()));
    }
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
    const NamedTensors averages = averages_of(trainer_);
    read_weights(tensors, path, *model_, averages);
    if (trainer_.loss_scaler()) {
      LossScale state;
      restore(state, checkpoint.scalars);
      trainer_.loss_scaler()->restore(state);
    }
    read_optimizer(tensors, checkpoint.step - skipped_steps(), *optimizer_);
    if (checkpoint.step > 0) trainer_.resume_after(checkpoint.step, run_.options.batch);
    check_nothing_else(tensors, path, *model_, *optimizer_, averages);
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
    restore(updates_, checkpoint.scalars);
    for (const std::string& warning : warnings) {
      tell(warning);
      warn(warning);
    }
  }

  // Steps that fp16 made no update in.
  std::int64_t skipped_steps() const {
    return trainer_.loss_scaler() ? trainer_.loss_scaler()->state().skipped_steps : 0;
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
    store(updates_, checkpoint.scalars);
    if (trainer_.loss_scaler()) store(trainer_.loss_scaler()->state(), checkpoint.scalars);
    const FileFacts facts = write_tensors(checkpoints_->tensor_path(report_.steps), *model_,
                                          *optimizer_, averages_of(trainer_));
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
    while (!is_epoch_complete() && report_.steps < schedule_.total_steps && !interrupted()) {
      epoch_.learning_rate = schedule_.at(report_.steps);
      const std::int64_t samples = options_.batch * options_.accumulate;
      epoch_.loss_sum += train_step(epoch_.learning_rate) * static_cast<double>(samples);
      epoch_.samples += samples;
      next_batch_ += options_.accumulate;
      const bool goes_on = !is_epoch_complete() && report_.steps < schedule_.total_steps;
      if (goes_on && is_saving_due_by_steps()) save(epoch_now());
    }
    epoch_ = epoch_now();
    epoch_start_ = std::chrono::steady_clock::now();
    close_epoch();
  }

  // What is left of the data after the last whole step is not used.
  bool is_epoch_complete() const { return next_batch_ == steps_per_epoch_ * options_.accumulate; }

  const Batch& next_batch() {
    if (!ahead_.empty()) {
      batch_ = std::move(ahead_.front());
      ahead_.erase(ahead_.begin());
      return batch_;
    }
    batch_ = read_batch();
    return batch_;
  }

  Batch read_batch() {
    std::optional<Batch> batch = loader_.next();
    if (!batch) throw Error("the training data ended in the middle of an epoch");
    return std::move(*batch);
  }

  // Before the step: what it is about to do, against the exact gradient.
  void measure_fidelity(std::int64_t step) {
    for (std::int64_t i = 0; i < options_.accumulate; ++i) ahead_.push_back(read_batch());
    const auto begin = std::chrono::steady_clock::now();
    const auto point = fidelity_->measure(ahead_, step, trainer_);
    epoch_.apart_seconds += seconds_since(begin);
    if (!point) return;
    report_.fidelity.push_back(*point);
    if (log_) log_->add_fidelity(*point);
  }

  // A checkpoint holds either an epoch that goes on or one that is closed and evaluated, so that a
  // run that is interrupted in between, or made longer, is the one without interruption.
  void close_epoch() {
    const bool is_complete = is_epoch_complete();
    reports::EpochResult result = epoch_result();
    if (!is_complete && !report_.interrupted) save(epoch_);
    const bool is_due = options_.evaluate_every > 0 && result.epoch % options_.evaluate_every == 0;
    if (is_due && !report_.interrupted) result.evaluation = evaluate();
    if (is_due && !report_.interrupted) result.averaged_evaluation = evaluate_average();
    if (report_.interrupted) {
      save(epoch_);
      tell_how_to_resume();
    }
    if (epoch_.samples == 0) return;
    result.resident_bytes = resident_bytes();
    tell(epoch_line(result, report_.memory ? report_.memory->peak_bytes : 0));
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
      result.train_loss = epoch_.loss_sum / static_cast<double>(epoch_.samples);
      result.samples_per_second = epoch_.samples_per_second();
    }
    return result;
  }

  double train_step(double rate) {
    const std::int64_t step = report_.steps;
    if (fidelity_ && step % options_.fidelity_every == 0) measure_fidelity(step);
    const auto begin = std::chrono::steady_clock::now();
    const NextBatch next = [this](std::int64_t) -> const Batch& { return next_batch(); };
    StepResult result;
    const bool is_due = step >= std::min(kTracedStep, schedule_.total_steps - 1);
    const bool is_traced = options_.profile_step && is_due && !updates_.traced;
    if (is_traced) {
      const TracedStep traced =
          traced_step(trainer_, *model_, *optimizer_, run_.device, next, step, rate);
      report_.memory = summarise(traced.memory);
      result = traced.result;
      updates_.traced = updates_.any && !result.skipped;
    } else {
      result = trainer_.step(next, step, rate);
    }
    check_finite(result, rate);
    updates_.any = updates_.any || !result.skipped;
    if (is_traced) {
      epoch_.traced_samples += options_.batch * options_.accumulate;
      epoch_.apart_seconds += seconds_since(begin);
    }
    rows_.add(trainer_.mean_kept_rows());
    if (is_traced || !report_.memory) rows_.reported = trainer_.kept_rows();
    const double loss = result.loss;
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

  void check_finite(const StepResult& result, double rate) const {
    if (result.problem.empty()) return;
    std::string sentence =
        concat("training diverged in step ", report_.steps + 1, " of epoch ", epoch_number_ + 1,
               ", at learning rate ", rate, ": ", result.problem,
               "; use a lower learning rate, warm-up, or --clip-norm");
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
                   .limit = options_.evaluation_samples,
                   .workers = run_.options.workers,
                   .crop_ratio = crop_ratio()});
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

  double crop_ratio() const {
    const double asked = options_.evaluation_crop_ratio;
    return asked > 0.0 ? asked : data_.crop_ratio;
  }

  void add_own_configuration() {
    auto& configuration = report_.header.configuration;
    configuration.emplace_back("steps", options_.evaluate_only ? 0 : schedule_.total_steps);
    configuration.emplace_back("steps_per_epoch", steps_per_epoch_);
    configuration.emplace_back("schedule", to_string(schedule_spec(options_)));
    configuration.emplace_back("warmup_steps", schedule_.warmup_steps);
    configuration.emplace_back("warmup_start", schedule_.warmup_start);
    configuration.emplace_back("minimum_learning_rate", schedule_.minimum);
    configuration.emplace_back("label_smoothing", options_.label_smoothing);
    configuration.emplace_back("evaluate_every", options_.evaluate_every);
    configuration.emplace_back("fidelity_every", options_.fidelity_every);
    configuration.emplace_back("evaluation_samples",
                               options_.evaluation_samples.value_or(data_.test->size()));
    configuration.emplace_back("flip", options_.flip);
    configuration.emplace_back("crop_padding", options_.crop_padding);
    configuration.emplace_back("evaluation_crop_ratio", crop_ratio());
    configuration.emplace_back("train_samples", data_.train->size());
    if (!options_.init.empty()) configuration.emplace_back("init", options_.init);
    if (options_.evaluate_only) {
      const std::string& folder = options_.checkpoint.folder;
      configuration.emplace_back("evaluated", folder.empty() ? options_.init : folder);
    }
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
  Batch batch_;               // in hand
  std::vector<Batch> ahead_;  // of the step in hand, where they were looked at before it
  std::optional<TrainingFidelity> fidelity_;
  KeptRowTally rows_;
  UpdateTally updates_;
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
    check_training(options, run);
    prepare_libtorch(run);
    if (options.evaluate_only) return TrainRun(options, progress, run).evaluate_only();
    check_memory(run, "training", [&] { return training_peak_bytes(options, run); });
    return TrainRun(options, progress, run).run();
  } catch (const c10::Error& error) {
    throw Error(concat("training '", options.model, "': ", error.what_without_backtrace()));
  }
}

}  // namespace sbp::experiments
