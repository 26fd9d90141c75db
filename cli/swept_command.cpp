#include "cli/swept_command.h"

#include <chrono>
#include <map>

#include "cli/option_groups.h"
#include "cli/options.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/predict_run.h"
#include "experiments/runs/profile_run.h"
#include "experiments/runs/run_estimate.h"
#include "sbp/base/device_id.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

using sweep::PointNeeds;
using sweep::StepPeak;
using Words = std::vector<std::string>;

// Of a process, before it does anything: LibTorch is loaded.
constexpr double kStartSeconds = 0.4;

// What one command adds to a run: how its words are read, and how long it is.
struct PointRun {
  experiments::ProfileOptions step;  // the run, for dry runs and trials of a step
  std::int64_t steps = 0;            // that it makes
  std::int64_t evaluation_batches = 0;
};

// The command itself, for words that hold neither --help nor --version.
template <typename Command>
Command command_in(std::variant<Command, Answer> parsed) {
  if (auto* command = std::get_if<Command>(&parsed)) return std::move(*command);
  throw UsageError("options of a point cannot ask for help");
}

class RunCommand : public sweep::SweptCommand {
 public:
  PointNeeds needs(const Words& words) override {
    const PointRun run = read(words);
    PointNeeds needs{.batch = run.step.batch, .steps = run.steps};
    needs.step_peak_bytes = peak_of(run.step).bytes;
    needs.memory_bytes =
        experiments::process_bytes(run.step, run_peak_bytes(words), data_of(run.step));
    return needs;
  }

  std::int64_t batch(const Words& words) override { return options_of(words).batch; }

  StepPeak step_peak(const Words& words) override { return peak_of(options_of(words)); }

  std::optional<double> seconds(const Words& words, std::int64_t threads) override {
    PointRun run = read(words);
    if (run.step.threads == 0) run.step.threads = threads;
    const std::optional<Trial>& trial = trial_of(run.step);
    if (!trial) return std::nullopt;
    return kStartSeconds + trial->setup_seconds +
           trial->step_seconds * static_cast<double>(run.steps) +
           trial->forward_seconds * static_cast<double>(run.evaluation_batches);
  }

 protected:
  // All of it, checked as the command checks it.
  virtual PointRun read(const Words& words) = 0;
  // Of its tensors, where a run holds more than its steps.
  virtual std::int64_t run_peak_bytes(const Words& words) { return step_peak(words).bytes; }
  // What makes a step of it, unchecked.
  virtual experiments::ProfileOptions options_of(const Words& words) = 0;

  const experiments::DataSize& data_of(const experiments::RunOptions& options) {
    auto found = sizes_.find(options.data);
    if (found == sizes_.end()) {
      found = sizes_.emplace(options.data, experiments::data_size(options)).first;
    }
    return found->second;
  }

 private:
  struct Trial {
    double setup_seconds = 0.0;  // of everything but steps
    double step_seconds = 0.0;
    double forward_seconds = 0.0;
  };

  // Equal for runs whose steps take the same memory and time. The seed is left out: it moves the
  // rows that a mask keeps by a few.
  static std::string step_key(const experiments::ProfileOptions& options) {
    return concat(options.model, "\n", options.data, "\n", options.strategy, "\n",
                  options.optimizer, "\n", options.device, "\n", options.precision, "\n",
                  options.augment, "\n", options.batch, " ", options.accumulate, " ",
                  options.clip_norm, " ", options.ema, " ", static_cast<int>(options.zero_grad),
                  "\n", options.predict, "\n", options.allocator, "\n", options.predict_steps, " ",
                  static_cast<int>(options.loop));
  }

  StepPeak peak_of(experiments::ProfileOptions options) {
    const std::string key = step_key(options);
    const auto found = peaks_.find(key);
    if (found != peaks_.end()) return found->second;
    options.seed = 0;  // so that it does not matter which point comes first
    return peaks_[key] = options.predict.empty() ? dry_peak(options) : predicted_peak(options);
  }

  const std::optional<Trial>& trial_of(experiments::ProfileOptions options) {
    const std::string key =
        concat(step_key(options), " ", options.threads, " ", options.largest_batch);
    const auto found = trials_.find(key);
    if (found != trials_.end()) return found->second;
    return trials_[key] = try_out(std::move(options));
  }

  static StepPeak dry_peak(const experiments::ProfileOptions& options) {
    const std::int64_t bytes = experiments::step_peak_bytes(options, options.zero_grad);
    return {.bytes = bytes, .least_bytes = bytes};
  }

  // On the card.
  static StepPeak predicted_peak(experiments::ProfileOptions options) {
    options.largest_batch = false;
    const predict::Prediction made = experiments::run_prediction(options).prediction;
    const std::int64_t outside = made.peak_device_bytes - made.peak_reserved_bytes;
    return {.bytes = made.peak_device_bytes, .least_bytes = outside + made.peak_requested_bytes};
  }

  static std::optional<Trial> try_out(experiments::ProfileOptions options) {
    // Its context and its cache would stay with this process, beside the points'.
    if (parse_device(options.device).kind == DeviceId::Kind::cuda) return std::nullopt;
    options.warmup = 1;
    options.time_steps = 1;
    const auto start = std::chrono::steady_clock::now();
    try {
      if (!options.predict.empty()) {
        // All of it: there is nothing to multiply.
        return Trial{.setup_seconds = experiments::run_prediction(options).seconds};
      }
      const reports::ProfileReport report = experiments::run_profile(options);
      const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
      Trial trial;
      if (report.time) {
        trial.step_seconds = report.time->step.median;
        trial.forward_seconds = report.time->forward.median;
      }
      const double steps = static_cast<double>(options.warmup + 1 + options.time_steps);
      trial.setup_seconds = std::max(0.0, all.count() - steps * trial.step_seconds);
      return trial;
    } catch (const UsageError&) {
      throw;
    } catch (const Error&) {
      return std::nullopt;  // memory, most likely: the point will say it
    }
  }

  std::map<std::string, experiments::DataSize> sizes_;
  std::map<std::string, StepPeak> peaks_;
  std::map<std::string, std::optional<Trial>> trials_;
};

class Train : public RunCommand {
 protected:
  PointRun read(const Words& words) override {
    const experiments::TrainOptions options = command_in(parse_train(words)).run;
    const experiments::TrainingSize size = experiments::training_size(options, data_of(options));
    return {.step = options_of(words),
            .steps = size.steps + size.passes,
            .evaluation_batches = size.evaluation_batches};
  }

  std::int64_t run_peak_bytes(const Words& words) override {
    const experiments::TrainOptions options = command_in(parse_train(words)).run;
    if (options.fidelity_every == 0) return step_peak(words).bytes;
    return experiments::training_peak_bytes(options);
  }

  experiments::ProfileOptions options_of(const Words& words) override {
    experiments::ProfileOptions step;
    static_cast<experiments::RunOptions&>(step) = command_in(parse_train(words)).run;
    return step;
  }
};

class Profile : public RunCommand {
 protected:
  PointRun read(const Words& words) override {
    const experiments::ProfileOptions options = options_of(words);
    if (!options.predict.empty()) {
      experiments::check_prediction(options);
      return {.step = options, .steps = options.predict_steps};
    }
    experiments::check_profile(options, data_of(options));
    return {.step = options, .steps = options.warmup + 1 + options.time_steps};
  }

  experiments::ProfileOptions options_of(const Words& words) override {
    experiments::ProfileOptions options = command_in(parse_profile(words)).run;
    if (!options.predict.empty()) options.device = "meta";  // where its steps are made
    return options;
  }
};

class Correlate : public RunCommand {
 protected:
  PointRun read(const Words& words) override {
    const experiments::CorrelateOptions options = command_in(parse_correlate(words)).run;
    return {.step = options_of(words),
            .steps = experiments::correlate_passes(options, data_of(options))};
  }

  experiments::ProfileOptions options_of(const Words& words) override {
    const experiments::CorrelateOptions options = command_in(parse_correlate(words)).run;
    experiments::ProfileOptions step;
    static_cast<experiments::RunOptions&>(step) = options;
    if (!options.strategies.empty()) step.strategy = options.strategies.front();
    return step;
  }

  // Of the exact pass, which every report takes, and what is held beside it.
  std::int64_t run_peak_bytes(const Words& words) override {
    return experiments::correlate_peak_bytes(command_in(parse_correlate(words)).run);
  }
};

}  // namespace

std::vector<sweep::SpecOption> spec_options(const std::string& command) {
  const experiments::TrainOptions defaults;
  std::vector<sweep::SpecOption> options = {
      {"strategy", defaults.strategy, experiments::strategy_schemas()},
      {"model", defaults.model, experiments::model_schemas()},
      {"data", defaults.data, experiments::data_schemas()},
      {"optimizer", defaults.optimizer, experiments::optimizer_schemas()},
      {"precision", defaults.precision, experiments::precision_schemas()},
      {"augment", defaults.augment, experiments::augmentation_schemas()}};
  if (command == "train") {
    options.push_back({"schedule", defaults.schedule, experiments::schedule_schemas()});
  }
  return options;
}

std::unique_ptr<sweep::SweptCommand> swept_command(const std::string& command) {
  if (command == "train") return std::make_unique<Train>();
  if (command == "profile") return std::make_unique<Profile>();
  return std::make_unique<Correlate>();
}

}  // namespace sbp::cli
