#include "experiments/runs/profile_run.h"

#include <c10/util/Exception.h>

#include <algorithm>

#include "experiments/data/loader.h"
#include "experiments/runs/device_memory.h"
#include "experiments/runs/environment.h"
#include "experiments/runs/plan_report.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "experiments/training/precision_spec.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

reports::TimeSummary summary_of(std::vector<double> seconds) {
  reports::TimeSummary summary;
  std::ranges::sort(seconds);
  const std::size_t count = seconds.size();
  summary.count = static_cast<std::int64_t>(count);
  summary.minimum = seconds.front();
  summary.maximum = seconds.back();
  summary.median = 0.5 * (seconds[(count - 1) / 2] + seconds[count / 2]);
  return summary;
}

reports::StepTimes times_of(const std::vector<StepDurations>& steps, std::int64_t samples) {
  const auto column = [&](double StepDurations::*part) {
    std::vector<double> seconds;
    for (const StepDurations& step : steps) seconds.push_back(step.*part);
    return summary_of(std::move(seconds));
  };
  reports::StepTimes times;
  times.step = column(&StepDurations::step);
  times.forward = column(&StepDurations::forward);
  times.backward = column(&StepDurations::backward);
  times.optimizer = column(&StepDurations::optimizer);
  times.samples_per_second = static_cast<double>(samples) / times.step.median;
  return times;
}

// Every step of a profile runs on the first batch of the first epoch. Adds what opening the data
// warns of.
Batch first_batch(const ResolvedRun& run, std::vector<std::string>& warnings) {
  const std::int64_t size = run.options.batch;
  if (run.device.kind == DeviceId::Kind::meta) return batch_without_values(run);
  const DataSource source = open_data(run.data, run.geometry, run.options.seed);
  if (source.train->size() < size) {
    throw UsageError(concat("batch '", size, "' is more than the ", source.train->size(),
                            " training images of '", run.options.data, "'"));
  }
  warnings.insert(warnings.end(), source.warnings.begin(), source.warnings.end());
  Loader loader(*source.train, source,
                {.batch = size,
                 .seed = run.options.seed,
                 .prefetch = 0,
                 .workers = run.options.workers,
                 .augment = run.augment});
  loader.start_epoch(0);
  return *loader.next();
}

constexpr std::int64_t kMostExtra = 16;  // steps run again because fp16 overflowed

class ProfileRun {
 public:
  ProfileRun(const ProfileOptions& options, const Progress& progress)
      : options_(options), progress_(progress), run_(resolve_run(options)) {
    if (options.warmup < 0) throw UsageError(concat("warmup '", options.warmup, "' is negative"));
    if (options.time_steps < 0) {
      throw UsageError(concat("time-steps '", options.time_steps, "' is negative"));
    }
    if (run_.device.kind == DeviceId::Kind::meta) options_.time_steps = 0;
    total_ = options_.warmup + 1 + options_.time_steps;
  }

  reports::ProfileReport run() {
    prepare_libtorch(run_, profiler::DriverWatch::until_first_trace);
    check_memory(run_, "a training step",
                 [&] { return step_peak_bytes(run_, options_.zero_grad); });
    std::vector<std::string> data_warnings;
    const Batch batch = first_batch(run_, data_warnings);
    const auto resident_before = resident_bytes();
    const bool resident_was_reset = reset_peak_resident();

    const std::unique_ptr<Model> model = make_model(run_);
    const Plan plan = make_plan(run_, *model);
    KeyedMaskSource masks(run_.options.seed);
    const std::unique_ptr<Optimizer> optimizer =
        make_optimizer(run_.optimizer, model->parameters());
    const bool meta = run_.device.kind == DeviceId::Kind::meta;
    TrainerOptions trainer_settings = trainer_options(run_);
    trainer_settings.zero_grad = options_.zero_grad;
    trainer_settings.stop_at_non_finite = false;  // bytes and times are the same
    Trainer trainer(*model, plan, masks, *optimizer, trainer_settings);
    const NextBatch same = [&batch](std::int64_t) -> const Batch& { return batch; };
    const double rate = optimizer->learning_rate();

    warm_up(trainer, batch, rate);
    reports::ProfileReport report;
    // Read before the tracer takes memory of its own: the same step, untraced.
    // One warm-up step is too few: the optimizer's state is born at its end, after its peak.
    if (!meta && options_.warmup > 1 && resident_was_reset && resident_before) {
      if (const auto peak = peak_resident_bytes()) report.resident_set = {*resident_before, *peak};
    }
    TracedStep traced;
    for (std::int64_t i = 0; i == 0 || (traced.result.skipped && i <= kMostExtra); ++i) {
      if (i > 0) ++total_;
      advance("traced step");
      traced = traced_step(trainer, *model, *optimizer, run_.device, same, step_++, rate,
                           {.keep_blocks = options_.keep_blocks});
    }
    report.header = make_header(run_, plan);
    add_own_configuration(report.header);
    report.model = model_facts(run_, *model);
    report.plan = plan_entries(model->sites(), plan, trainer.kept_rows());
    const std::vector<double> kept_rows = trainer.mean_kept_rows();
    report.strategy = strategy_outcome(plan, kept_rows);
    report.header.warnings = plan_warnings(plan, kept_rows);
    for (std::string& warning : trainer.code_warnings()) {
      report.header.warnings.push_back(std::move(warning));
    }
    for (std::string& warning : data_warnings) {
      report.header.warnings.push_back(std::move(warning));
    }
    report.memory = traced.memory;
    report.tracing_seconds = traced.result.seconds.step;
    if (!meta) report.loss = traced.result.loss;
    add_device_memory(report, *model);
    add_overflow_warning(report, trainer, traced.result);

    std::vector<StepDurations> durations;
    for (std::int64_t i = 0; i < options_.time_steps; ++i) {
      advance("timed step");
      durations.push_back(trainer.step(batch, step_++, rate).seconds);
    }
    if (!durations.empty()) report.time = times_of(durations, batch.size * run_.options.accumulate);
    add_warnings(report);
    return report;
  }

 private:
  // As long as asked, and on while fp16 overflows: a step without update has no optimizer state.
  void warm_up(Trainer& trainer, const Batch& batch, double rate) {
    bool skipped = false;
    for (std::int64_t i = 0; i < options_.warmup || (skipped && i < options_.warmup + kMostExtra);
         ++i) {
      if (i >= options_.warmup) ++total_;
      advance("warm-up");
      skipped = trainer.step(batch, step_++, rate).skipped;
    }
  }

  void advance(const std::string& what) {
    if (progress_.interrupted && progress_.interrupted()) {
      throw Error("interrupted before the profile was complete; nothing was written",
                  ExitCode::interrupted);
    }
    if (progress_.step) progress_.step(step_, total_, what);
  }

  void add_own_configuration(reports::Header& header) const {
    header.configuration.emplace_back("warmup", options_.warmup);
    header.configuration.emplace_back("time_steps", options_.time_steps);
    header.configuration.emplace_back("zero_grad", std::string(word_of(options_.zero_grad)));
  }

  void add_device_memory(reports::ProfileReport& report, const Model& model) const {
    const auto& layers = model.sites().layers().layers();
    const auto& lives = report.memory.blocks;
    const auto seen = profiler::take_cuda_observations({.keep_blocks = options_.keep_blocks,
                                                        .layers = layers,
                                                        .lives = lives ? &*lives : nullptr});
    if (!seen) return;
    report.device_memory = device_memory(*seen, layers);
    for (std::string& warning : device_warnings(*report.device_memory)) {
      report.header.warnings.push_back(std::move(warning));
    }
  }

  // Without an update the optimizer's state may be missing from the books.
  static void add_overflow_warning(reports::ProfileReport& report, const Trainer& trainer,
                                   const StepResult& traced) {
    if (const std::string skipped = overflow_warning(trainer); !skipped.empty()) {
      report.header.warnings.push_back(skipped);
    }
    if (traced.skipped) {
      report.header.warnings.emplace_back(
          "the traced step made no update: its gradients overflowed fp16");
    }
  }

  void add_warnings(reports::ProfileReport& report) const {
    std::vector<std::string>& warnings = report.header.warnings;
    const profiler::LedgerCheck& ledger = report.memory.ledger;
    if (!ledger.balanced) warnings.push_back("the books do not balance: " + ledger.first_problem);
    if (ledger.peak_is_lower_bound) {
      warnings.push_back("events were lost: the peak is a lower bound");
    }
    if (options_.warmup == 0) {
      warnings.push_back("no warm-up step: the optimizer's state is born inside the traced step");
    }
    if (report.time && report.time->step.count < 3) {
      warnings.push_back("fewer than 3 timed steps: the median says little");
    }
  }

  ProfileOptions options_;
  const Progress& progress_;
  ResolvedRun run_;
  std::int64_t step_ = 0;
  std::int64_t total_ = 0;
};

}  // namespace

reports::ProfileReport run_profile(const ProfileOptions& options, const Progress& progress) {
  try {
    return ProfileRun(options, progress).run();
  } catch (const c10::Error& error) {
    throw Error(concat("profiling '", options.model, "': ", error.what_without_backtrace()));
  }
}

PlanPreview preview_plan(const ProfileOptions& options) {
  const ResolvedRun run = resolve_run(options);
  const std::unique_ptr<Model> model = make_model(run, /*on_meta=*/true);
  const Plan plan = make_plan(run, *model);
  KeyedMaskSource masks(options.seed);
  // The last batch of the traced step.
  const std::int64_t traced = (options.warmup + 1) * options.accumulate - 1;
  std::vector<std::int64_t> kept_rows;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    MaskRequest request = mask_request(plan, static_cast<std::int32_t>(i));
    request.step = static_cast<std::uint32_t>(traced);
    kept_rows.push_back(plan.groups[i].geometry.leading + std::ssize(masks.draw(request)));
  }
  PlanPreview preview;
  preview.plan = plan_entries(model->sites(), plan, kept_rows);
  preview.strategy = strategy_outcome(plan, {kept_rows.begin(), kept_rows.end()});
  preview.warnings = plan_warnings(plan, {kept_rows.begin(), kept_rows.end()});
  return preview;
}

}  // namespace sbp::experiments
