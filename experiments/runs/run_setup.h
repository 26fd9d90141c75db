// From typed options to resolved specs, a plan and a model: what every run does first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/data/dataset.h"
#include "experiments/data/loader.h"
#include "experiments/runs/run_options.h"
#include "profiler/cuda/cuda_tracer.h"
#include "reports/report.h"
#include "sbp/base/device_id.h"
#include "sbp/base/spec.h"
#include "sbp/plan.h"

namespace sbp::experiments {

class Model;
struct TrainerOptions;

// The options with every spec parsed and every default filled in.
struct ResolvedRun {
  RunOptions options;
  Spec model;
  Spec data;
  Spec optimizer;
  std::vector<Spec> augment;
  Spec precision;
  DeviceId device;
  ImageGeometry geometry;  // of the data
};

// Throws UsageError for whatever cannot be meant, and Error for a device that this program or
// machine does not have.
ResolvedRun resolve_run(const RunOptions& options);

// Sets LibTorch up (hooks, threads, the run's device). Before the first tensor. On a CUDA device
// CUPTI runs as well, where `driver` asks for it.
void prepare_libtorch(const ResolvedRun& run,
                      profiler::DriverWatch driver = profiler::DriverWatch::none);
// For dry runs alone, whatever the run's device: that is left alone.
void prepare_dry_run(const ResolvedRun& run);

// The model on the run's device, or on Meta.
std::unique_ptr<Model> make_model(const ResolvedRun& run, bool on_meta = false);

Plan make_plan(const ResolvedRun& run, const Model& model);

reports::ModelFacts model_facts(const ResolvedRun& run, const Model& model);

// Command line, resolved configuration and environment.
reports::Header make_header(const ResolvedRun& run, const Plan& plan);

// The step's options that every run takes from its own: device, precision, accumulation and the
// like.
TrainerOptions trainer_options(const ResolvedRun& run);

// A batch of the run for Meta, where only its sizes matter.
Batch batch_without_values(const ResolvedRun& run);

// What tensors of one training step of the run would peak at, by a dry run.
std::int64_t step_peak_bytes(const ResolvedRun& run, ZeroGrad zero_grad);

// What a process grows by whose tensors peak so: freed blocks that malloc keeps, scratch of
// kernels.
std::int64_t with_overhead(std::int64_t tensor_peak_bytes);

// Bytes that the run's parameters take.
std::int64_t parameter_bytes(const ResolvedRun& run);

// Throws Error when the run is the CPU's and the machine has less memory than it needs, of which
// `tensor_peak_bytes` is asked by a dry run. `what` begins the sentence.
void check_memory(const ResolvedRun& run, std::string_view what,
                  const std::function<std::int64_t()>& tensor_peak_bytes);

}  // namespace sbp::experiments
