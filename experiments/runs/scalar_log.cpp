#include "experiments/runs/scalar_log.h"

#include "sbp/base/whole_file.h"

namespace sbp::experiments {
namespace {

const std::string& made(const std::string& folder) {
  make_folder(folder, "TensorBoard folder");
  return folder;
}

void add_evaluation(Scalars& scalars, const std::string& prefix,
                    const std::optional<reports::Evaluation>& evaluation) {
  if (!evaluation) return;
  scalars.emplace_back(prefix + "/loss", evaluation->loss);
  scalars.emplace_back(prefix + "/top1", evaluation->top1);
  scalars.emplace_back(prefix + "/top5", evaluation->top5);
}

}  // namespace

ScalarLog::ScalarLog(const std::string& folder, std::optional<std::int64_t> resumed_from)
    : file_(made(folder), resumed_from) {}

void ScalarLog::add_step(std::int64_t step, double loss, double learning_rate) {
  file_.add(step, {{"train/loss", loss}, {"train/learning_rate", learning_rate}});
}

void ScalarLog::add_epoch(const reports::EpochResult& result) {
  Scalars scalars = {{"epoch/train_loss", result.train_loss},
                     {"epoch/samples_per_second", result.samples_per_second},
                     {"epoch/seconds", result.seconds},
                     {"epoch/data_wait_seconds", result.data_wait_seconds}};
  if (result.resident_bytes) {
    scalars.emplace_back("memory/resident_bytes", static_cast<double>(*result.resident_bytes));
  }
  add_evaluation(scalars, "test", result.evaluation);
  add_evaluation(scalars, "test_averaged", result.averaged_evaluation);
  file_.add(result.steps, scalars);
}

void ScalarLog::add_fidelity(const reports::FidelityPoint& point) {
  Scalars scalars;
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) scalars.emplace_back(name, *value);
  };
  add("fidelity/cosine", point.agreement.cosine);
  add("fidelity/mean_layer_cosine", point.cosine_over_layers.mean);
  add("fidelity/minimum_layer_cosine", point.cosine_over_layers.minimum);
  add("fidelity/relative_error", point.agreement.relative_error);
  add("fidelity/norm_ratio", point.agreement.norm_ratio);
  if (!scalars.empty()) file_.add(point.step, scalars);
}

void ScalarLog::add_memory(std::int64_t step, const reports::MemorySummary& memory) {
  file_.add(step,
            {{"memory/peak_bytes", static_cast<double>(memory.peak_bytes)},
             {"memory/saved_distinct_bytes", static_cast<double>(memory.saved.distinct_bytes)}});
}

}  // namespace sbp::experiments
