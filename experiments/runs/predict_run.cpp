#include "experiments/runs/predict_run.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "experiments/recipes/device_file.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/dry_trainer.h"
#include "experiments/runs/plan_report.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "profiler/ledger.h"
#include "profiler/predict/predict.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

ResolvedRun resolved(const ProfileOptions& options) {
  RunOptions dry = options;
  dry.device = "meta";
  ResolvedRun run = resolve_run(dry);
  run.optimizer = parse_spec(options.optimizer, "optimizer", optimizer_schemas());
  // As PyTorch's optimizers do on CUDA.
  fill_auto(run.optimizer, "loop", options.loop == TrainingLoop::python ? "foreach" : "each");
  return run;
}

// Adds what each layer saves; layers that own nothing at the peak come in for it, in the order of
// the trace's layers, with what lies outside every layer last.
void add_saved(std::vector<predict::LayerBytes>& layers, const profiler::MemoryProfile& memory,
               const profiler::Trace& trace) {
  std::map<std::string, predict::LayerBytes> known;
  for (predict::LayerBytes& layer : layers) known[layer.name] = std::move(layer);
  for (const profiler::LayerMemory& layer : memory.layers) {
    if (layer.saved == profiler::SavedBytes{}) continue;
    predict::LayerBytes& row = known[layer.name];
    row.name = layer.name;
    row.kind = layer.kind;
    row.saved = layer.saved;
  }
  layers.clear();
  const auto take = [&](const std::string& name) {
    const auto found = known.find(name);
    if (found == known.end()) return;
    layers.push_back(std::move(found->second));
    known.erase(found);
  };
  for (const LayerTable::Layer& layer : trace.layers) take(layer.name);
  take("");
}

class PredictRun {
 public:
  PredictRun(const ProfileOptions& options, const Progress& progress)
      : options_(options),
        progress_(progress),
        run_(resolved(options)),
        device_(device_of(options.predict)),
        allocator_(predict::parse_allocator_options(
            options.allocator.empty() ? "native" : options.allocator)) {
    if (options.predict_steps < 1) {
      throw UsageError(concat("predict-steps '", options.predict_steps, "' is below 1"));
    }
    if (allocator_.limit_bytes) {
      throw UsageError(
          concat("allocator '", options.allocator,
                 "' has a limit of its own; the card's memory is the limit: --predict ",
                 device_.name, ":memory=", *allocator_.limit_bytes, "B"));
    }
  }

  predict::Workload workload() {
    prepare_libtorch(run_);
    return workload_of_steps(run_);
  }

  reports::PredictionReport run() {
    const auto start = std::chrono::steady_clock::now();
    prepare_libtorch(run_);
    reports::PredictionReport report;
    {
      DryTrainer dry(run_, dry_options());
      const profiler::Trace trace = traced_steps(dry);
      check_interrupted();
      report.prediction =
          predict::predict(predict::workload_of(trace), device_, allocator_, options_.keep_blocks);
      const profiler::MemoryProfile memory = profiler::analyse(trace);
      report.saved = memory.saved;
      add_saved(report.prediction.layers, memory, trace);
      describe(dry, report);
    }
    if (options_.largest_batch) report.prediction.largest_batch = largest_batch();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    report.seconds = seconds.count();
    return report;
  }

 private:
  predict::Workload workload_of_steps(const ResolvedRun& run) const {
    DryTrainer dry(run, dry_options());
    return predict::workload_of(traced_steps(dry));
  }

  profiler::Trace traced_steps(DryTrainer& dry) const {
    return traced_dry_steps(dry, options_.predict_steps, [this] { check_interrupted(); });
  }

  // The user's own loop may well use the other.
  bool attention_was_left_open() const {
    const bool is_eager = std::ranges::count(run_.model.values, std::pair<std::string, std::string>{
                                                                    "attention", "eager"}) > 0;
    return is_eager && options_.loop == TrainingLoop::python &&
           options_.model.find("attention=") == std::string::npos;
  }

  void check_interrupted() const {
    if (progress_.interrupted && progress_.interrupted()) {
      throw Error("interrupted before the prediction was made; nothing was written",
                  ExitCode::interrupted);
    }
  }

  DryOptions dry_options() const {
    return {.zero_grad = options_.zero_grad,
            .names_live_on = options_.loop == TrainingLoop::python,
            .steps = 0};
  }

  void describe(DryTrainer& dry, reports::PredictionReport& report) const {
    const Trainer& trainer = dry.trainer();
    const Plan& plan = dry.plan();
    report.header = make_header(run_, plan);
    auto& configuration = report.header.configuration;
    configuration.emplace_back("zero_grad", std::string(word_of(options_.zero_grad)));
    configuration.emplace_back("loop", std::string(word_of(options_.loop)));
    configuration.emplace_back("predict", report.prediction.device);
    configuration.emplace_back("allocator", report.prediction.allocator);
    configuration.emplace_back("predict_steps", options_.predict_steps);
    report.model = model_facts(run_, dry.model());
    report.plan = plan_entries(dry.model().sites(), plan, trainer.kept_rows());
    const std::vector<double> kept_rows = trainer.mean_kept_rows();
    report.strategy = strategy_outcome(plan, kept_rows);
    report.header.warnings = plan_warnings(plan, kept_rows);
    if (attention_was_left_open()) {
      report.header.warnings.emplace_back(
          "attention=eager is predicted, this suite's default, which keeps softmax's maps; for "
          "PyTorch's scaled_dot_product_attention write attention=fused in --model");
    }
  }

  predict::BatchTrials try_batch(std::int64_t batch) const {
    check_interrupted();
    if (progress_.step) progress_.step(0, 0, concat("trying batch ", batch));
    ResolvedRun run = run_;
    run.options.batch = batch;
    predict::Workload workload;
    try {
      workload = workload_of_steps(run);
    } catch (const Error& error) {
      if (error.code() == ExitCode::interrupted) throw;
      return {};  // the model cannot do this batch, such as a batch norm of one value
    }
    return predict::try_batch(workload, device_, allocator_);
  }

  predict::LargestBatch largest_batch() const {
    std::map<std::int64_t, predict::BatchTrials> trials;
    const auto search = [&](predict::BatchTrial predict::BatchTrials::*kind) {
      return predict::find_largest_batch(run_.options.batch, predict::kMostBatch,
                                         [&](std::int64_t batch) {
                                           auto known = trials.find(batch);
                                           if (known == trials.end()) {
                                             known = trials.emplace(batch, try_batch(batch)).first;
                                           }
                                           return known->second.*kind;
                                         });
    };
    const predict::FoundBatch found = search(&predict::BatchTrials::plain);
    predict::LargestBatch largest{.batch = found.batch,
                                  .peak_device_bytes = found.peak_bytes,
                                  .cautious_batch = search(&predict::BatchTrials::cautious).batch,
                                  .bound = found.bound,
                                  .or_more = found.batch == predict::kMostBatch};
    // Where not all were tried.
    if (*largest.cautious_batch > largest.batch) {
      largest.batch = *largest.cautious_batch;
      largest.peak_device_bytes = trials.at(largest.batch).plain.peak_bytes;
    }
    return largest;
  }

  ProfileOptions options_;
  const Progress& progress_;
  ResolvedRun run_;
  predict::DeviceProfile device_;
  predict::AllocatorOptions allocator_;
};

// With LibTorch's errors as ours.
template <typename Function>
auto traced(const ProfileOptions& options, Function run) {
  try {
    return run();
  } catch (const c10::Error& error) {
    throw Error(concat("predicting '", options.model, "': ", error.what_without_backtrace()));
  }
}

}  // namespace

const std::vector<SpecSchema>& gpu_schemas() {
  return predict::device_schemas();
}

void check_prediction(const ProfileOptions& options) {
  PredictRun(options, {});
}

predict::DeviceProfile device_of(const std::string& predict) {
  if (!is_device_file(predict)) return predict::parse_device_profile(predict);
  const std::string spec = read_device_file(predict);
  try {
    return predict::parse_device_profile(spec);
  } catch (const UsageError& error) {
    throw UsageError(concat("GPU file '", predict, "': ", error.what()));
  }
}

predict::Workload workload_of_run(const ProfileOptions& options) {
  return traced(options, [&] { return PredictRun(options, {}).workload(); });
}

reports::PredictionReport run_prediction(const ProfileOptions& options, const Progress& progress) {
  return traced(options, [&] { return PredictRun(options, progress).run(); });
}

}  // namespace sbp::experiments
