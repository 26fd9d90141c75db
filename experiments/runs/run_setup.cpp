#include "experiments/runs/run_setup.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <thread>

#include "dropit/dropit_strategy.h"
#include "experiments/data/augmentation.h"
#include "experiments/models/registry.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/dry_trainer.h"
#include "experiments/runs/environment.h"
#include "experiments/strategies.h"
#include "experiments/training/precision_spec.h"
#include "experiments/training/trainer.h"
#include "profiler/cuda/cuda_tracer.h"
#include "profiler/torch/tracer.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

std::int64_t thread_count(const RunOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::max<std::int64_t>(1, std::thread::hardware_concurrency());
}

void check_numbers(const RunOptions& options) {
  constexpr std::int64_t kMaximumBatch = 1'000'000;
  if (options.batch < 1 || options.batch > kMaximumBatch) {
    throw UsageError(concat("batch '", options.batch, "' is outside 1-", kMaximumBatch));
  }
  if (options.accumulate < 1 || options.accumulate > kMaximumBatch) {
    throw UsageError(concat("accumulate '", options.accumulate, "' is outside 1-", kMaximumBatch));
  }
  if (!(options.clip_norm >= 0.0 && std::isfinite(options.clip_norm))) {
    throw UsageError(concat("clip norm '", options.clip_norm, "' is no number above 0, or 0"));
  }
  if (!(options.ema >= 0.0 && options.ema < 1.0)) {
    throw UsageError(concat("ema '", options.ema, "' is outside [0, 1)"));
  }
  if (options.threads < 0 || options.threads > 1024) {
    throw UsageError(
        concat("threads '", options.threads, "' is outside 0-1024 (0: one a processor)"));
  }
  if (options.workers < 1 || options.workers > 1024) {
    throw UsageError(concat("workers '", options.workers, "' is outside 1-1024"));
  }
}

// What the data is to look like where it has no size of its own.
ImageGeometry wanted_by(const Spec& model) {
  ImageGeometry wanted = input_of(model);
  if (wanted.channels == 0) wanted.channels = 3;
  if (wanted.height == 0) wanted.height = wanted.width = 224;
  if (wanted.classes == 0) wanted.classes = 1000;
  return wanted;
}

at::Device libtorch_device(const DeviceId& device) {
  switch (device.kind) {
    case DeviceId::Kind::cpu: break;
    case DeviceId::Kind::meta: return at::kMeta;
    case DeviceId::Kind::cuda: return {at::kCUDA, static_cast<at::DeviceIndex>(device.index)};
  }
  return at::kCPU;
}

// Fused attention is the CPU's flash kernel.
void check_attention(const ResolvedRun& run) {
  if (run.device.kind != DeviceId::Kind::cuda) return;
  for (const auto& [key, value] : run.model.values) {
    if (key != "attention" || value != "fused") continue;
    throw Error(concat("device '", to_string(run.device), "': model '", to_string(run.model),
                       "' has fused attention, which is a kernel of the CPU's so far; use "
                       "attention=eager, or cpu"));
  }
}

// Codecs read and write values in loops of the CPU's.
void check_codes(const ResolvedRun& run, const Plan& plan) {
  if (run.device.kind != DeviceId::Kind::cuda) return;
  for (const PlanRow& row : plan.rows) {
    if (row.codes.empty()) continue;
    throw Error(concat("device '", to_string(run.device), "': strategy '", plan.strategy,
                       "' codes what layers keep ('", to_string(row.codes.begin()->second),
                       "'), which works on the CPU only so far; use cpu, or leave that part out"));
  }
}

}  // namespace

ResolvedRun resolve_run(const RunOptions& options) {
  check_numbers(options);
  ResolvedRun run;
  run.options = options;
  run.options.threads = thread_count(options);
  run.device = parse_device(options.device);
  if (run.device.kind == DeviceId::Kind::cuda) {
    const std::string reason = profiler::cuda_unavailable(run.device);
    if (!reason.empty()) throw Error(concat("device '", options.device, "': ", reason));
  }
  run.model = parse_spec(options.model, "model", model_schemas());
  run.data = parse_spec(options.data, "data", data_schemas());
  run.optimizer = parse_spec(options.optimizer, "optimizer", optimizer_schemas());
  fill_auto(run.optimizer, "loop", run.device.kind == DeviceId::Kind::cuda ? "foreach" : "each");
  run.augment = parse_augmentation(options.augment);
  make_augmentation(run.augment);  // its errors come before anything is read
  run.precision = parse_spec(options.precision, "precision", precision_schemas());
  run.geometry = geometry_of(run.data, wanted_by(run.model));
  run.model = fit_to_data(run.model, run.geometry);
  check_attention(run);
  run.data = fit_to_geometry(run.data, run.geometry);
  return run;
}

void prepare_dry_run(const ResolvedRun& run) {
  at::set_num_threads(static_cast<int>(run.options.threads));
  profiler::install_torch_hooks();
}

void prepare_libtorch(const ResolvedRun& run, profiler::DriverWatch driver) {
  prepare_dry_run(run);
  if (run.device.kind != DeviceId::Kind::cuda) return;
  profiler::install_cuda_hooks(run.device, driver);
  // cuDNN would round what fp32 convolutions read to 10 bits (TF32).
  at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::CONV,
                                          at::Float32Precision::IEEE);
}

std::unique_ptr<Model> make_model(const ResolvedRun& run, bool on_meta) {
  const at::Device device = on_meta ? at::Device(at::kMeta) : libtorch_device(run.device);
  return build_model(run.model, {.device = device, .seed = run.options.seed});
}

Plan make_plan(const ResolvedRun& run, const Model& model) {
  Plan plan = resolve(run.options.strategy, model.sites(), strategies());
  check_codes(run, plan);
  const int value_bytes = precision_of(run.precision).is_mixed() ? 2 : 4;
  for (std::string& warning : dropit::size_warnings(plan, value_bytes)) {
    plan.warnings.push_back(std::move(warning));
  }
  return plan;
}

reports::ModelFacts model_facts(const ResolvedRun& run, const Model& model) {
  reports::ModelFacts facts;
  facts.spec = to_string(run.model);
  for (const Parameter& parameter : model.parameters()) {
    facts.parameter_count += parameter.value.numel();
    facts.parameter_bytes += static_cast<std::int64_t>(parameter.value.nbytes());
  }
  for (const Buffer& buffer : model.buffers()) {
    facts.buffer_bytes += static_cast<std::int64_t>(buffer.value.nbytes());
  }
  return facts;
}

reports::Header make_header(const ResolvedRun& run, const Plan& plan) {
  reports::Header header;
  const RunOptions& options = run.options;
  header.command_line = options.command_line;
  header.configuration = {
      {"model", to_string(run.model)},
      {"data", to_string(run.data)},
      {"strategy", plan.strategy},
      {"optimizer", to_string(run.optimizer)},
      {"batch", options.batch},
      {"accumulate", options.accumulate},
      {"clip_norm", options.clip_norm},
      {"ema", options.ema},
      {"seed", static_cast<std::int64_t>(options.seed)},
      {"threads", options.threads},
      {"device", to_string(run.device)},
      {"precision", to_string(run.precision)},
      {"augment", to_string(run.augment)},
      {"workers", options.workers},
  };
  header.environment = describe_environment();
  header.environment.libtorch_version = TORCH_VERSION;
  header.environment.threads = options.threads;
  return header;
}

TrainerOptions trainer_options(const ResolvedRun& run) {
  return {.device = libtorch_device(run.device),
          .seed = run.options.seed,
          .precision = precision_of(run.precision),
          .accumulate = run.options.accumulate,
          .clip_norm = run.options.clip_norm,
          .ema_decay = run.options.ema};
}

Batch batch_without_values(const ResolvedRun& run) {
  Batch batch;
  batch.size = run.options.batch;
  if (make_augmentation(run.augment).mix) batch.target_classes = run.geometry.classes;
  return batch;
}

std::int64_t step_peak_bytes(const ResolvedRun& run, ZeroGrad zero_grad) {
  const DeviceId meta{DeviceId::Kind::meta};
  ResolvedRun dry = run;
  // From the second batch on, all find the gradients of those before.
  dry.options.accumulate = std::min<std::int64_t>(dry.options.accumulate, 2);
  profiler::reset_peak_live_bytes(meta);
  const DryTrainer trainer(dry, {.zero_grad = zero_grad});
  return profiler::peak_live_bytes(meta);
}

std::int64_t parameter_bytes(const ResolvedRun& run) {
  return model_facts(run, *make_model(run, /*on_meta=*/true)).parameter_bytes;
}

std::int64_t with_overhead(std::int64_t tensor_peak_bytes) {
  // Measured 1.22 to 1.36 times the peak (docs/accounting.md).
  return tensor_peak_bytes / 4 * 5;
}

void check_memory(const ResolvedRun& run, std::string_view what,
                  const std::function<std::int64_t()>& tensor_peak_bytes) {
  if (run.device.kind != DeviceId::Kind::cpu) return;
  const std::optional<std::int64_t> available = available_memory_bytes();
  if (!available) return;
  std::int64_t needed = 0;
  try {
    needed = with_overhead(tensor_peak_bytes());
  } catch (const NeedsValues&) {
    return;  // what it needs is not known
  }
  if (needed > *available) {
    throw Error(concat(what, " of '", run.options.model, "' at batch '", run.options.batch,
                       "' needs about ", reports::bytes_text(needed), " and the machine has ",
                       reports::bytes_text(*available),
                       " available; use a smaller batch or model, or "
                       "--device meta"));
  }
}

}  // namespace sbp::experiments
