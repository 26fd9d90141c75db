#include "experiments/runs/run_estimate.h"

#include <c10/util/Exception.h>
#include <torch/headeronly/version.h>

#include <algorithm>

#include "experiments/data/dataset.h"
#include "experiments/runs/correlate_run.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/train_run.h"
#include "experiments/training/schedule.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// Of the program, LibTorch and the tracer: 300 MiB were resident with a model of next to nothing, a
// good part of them shared between processes.
constexpr std::int64_t kProgramBytes = std::int64_t{320} << 20;

std::int64_t rounded_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit;
}

}  // namespace

std::int64_t step_peak_bytes(const RunOptions& options, ZeroGrad zero_grad) {
  try {
    const ResolvedRun run = resolve_run(options);
    prepare_dry_run(run);
    return step_peak_bytes(run, zero_grad);
  } catch (const c10::Error& error) {
    throw Error(concat("a dry run of '", options.model, "': ", error.what_without_backtrace()));
  }
}

std::int64_t training_peak_bytes(const TrainOptions& options) {
  try {
    const ResolvedRun run = resolve_run(options);
    prepare_dry_run(run);
    return training_peak_bytes(options, run);
  } catch (const c10::Error& error) {
    throw Error(concat("a dry run of '", options.model, "': ", error.what_without_backtrace()));
  }
}

DataSize data_size(const RunOptions& options) {
  const ResolvedRun run = resolve_run(options);
  const DataSource data = open_data(run.data, run.geometry, run.options.seed);
  return {.train = data.train->size(),
          .test = data.test->size(),
          .held_bytes = data.train->held_bytes() + data.test->held_bytes()};
}

std::int64_t process_bytes(const RunOptions& options, std::int64_t step_peak_bytes,
                           const DataSize& data) {
  switch (parse_device(options.device).kind) {
    case DeviceId::Kind::meta: return kProgramBytes;
    case DeviceId::Kind::cuda: return kProgramBytes + data.held_bytes;
    case DeviceId::Kind::cpu: break;
  }
  return kProgramBytes + data.held_bytes + with_overhead(step_peak_bytes);
}

TrainingSize training_size(const TrainOptions& options, const DataSize& data) {
  const ResolvedRun run = resolve_run(options);
  check_training(options, run);
  const std::int64_t batches = data.train / options.batch;
  const std::int64_t steps_per_epoch = batches / options.accumulate;
  if (steps_per_epoch < 1) throw batch_too_large(run, data.train);
  TrainingSize size;
  size.steps = options.steps.value_or(options.epochs.value_or(1) * steps_per_epoch);
  (void)make_schedule(options, run.optimizer.real("lr"),
                      {.steps_per_epoch = steps_per_epoch, .total_steps = size.steps});
  if (options.fidelity_every > 0) {
    size.passes = 2 * rounded_up(size.steps, options.fidelity_every) * options.accumulate;
  }
  const std::int64_t epochs = rounded_up(size.steps, steps_per_epoch);
  const std::int64_t every = options.evaluate_every;
  // One at the end, where the last epoch had none.
  std::int64_t evaluations = every > 0 ? epochs / every : 0;
  if (every == 0 || epochs % every != 0) ++evaluations;
  const std::int64_t samples = std::min(options.evaluation_samples.value_or(data.test), data.test);
  size.evaluation_batches =
      evaluations * rounded_up(samples, options.batch) * (options.ema > 0.0 ? 2 : 1);
  return size;
}

void check_profile(const ProfileOptions& options, const DataSize& data) {
  const ResolvedRun run = resolve_run(options);
  if (run.device.kind == DeviceId::Kind::meta) return;
  if (options.batch > data.train) throw batch_too_large(run, data.train);
}

std::int64_t correlate_passes(const CorrelateOptions& options, const DataSize& data) {
  const ResolvedRun run = resolve_run(options);
  check_correlate(options, run);
  const std::int64_t batches = std::max<std::int64_t>(options.batches, 2);
  if (data.train / options.batch < batches) throw too_few_batches(run, batches, data.train);
  const std::int64_t of_a_strategy = options.batches * options.masks * (options.local ? 2 : 1);
  return steps_before(options) + batches + std::ssize(options.strategies) * of_a_strategy;
}

std::int64_t correlate_peak_bytes(const CorrelateOptions& options) {
  try {
    const ResolvedRun run = resolve_run(options);
    prepare_dry_run(run);
    return correlate_peak_bytes(options, run);
  } catch (const c10::Error& error) {
    throw Error(concat("a dry run of '", options.model, "': ", error.what_without_backtrace()));
  }
}

std::string libtorch_version() {
  return TORCH_VERSION;
}

}  // namespace sbp::experiments
