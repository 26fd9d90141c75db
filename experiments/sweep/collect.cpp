#include "experiments/sweep/collect.h"

#include <algorithm>
#include <type_traits>

#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

using namespace reports;

std::optional<std::int64_t> configured_batch(const Header& header) {
  for (const auto& [name, value] : header.configuration) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (name == "batch" && number != nullptr) return *number;
  }
  return std::nullopt;
}

PointFigures common_figures(const Header& header, const StrategyOutcome& strategy) {
  PointFigures figures;
  figures.batch = configured_batch(header);
  figures.effective_keep_ratio = strategy.effective_keep_ratio;
  return figures;
}

void add_agreement(const Agreement& agreement, PointFigures& figures) {
  figures.cosine = agreement.cosine;
  figures.relative_error = agreement.relative_error;
  figures.norm_ratio = agreement.norm_ratio;
  figures.sign_agreement = agreement.sign_agreement;
}

void add_layer_cosine(const LayerSpread& cosine, PointFigures& figures) {
  figures.mean_layer_cosine = cosine.mean;
  figures.minimum_layer_cosine = cosine.minimum;
}

std::optional<double> mean_local_cosine(const StrategyFidelity& strategy) {
  double sum = 0.0;
  std::int64_t count = 0;
  for (const LayerFidelity& layer : strategy.layers) {
    if (!layer.local_cosine) continue;
    sum += *layer.local_cosine;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

template <typename Report>
const char* command_of(const Report&) {
  if constexpr (std::is_same_v<Report, TrainReport>) return "train";
  if constexpr (std::is_same_v<Report, ProfileReport>) return "profile";
  if constexpr (std::is_same_v<Report, CorrelateReport>) return "correlate";
  return "sweep";
}

template <typename Report>
PointFigures figures_of_any(const Report& report) {
  if constexpr (std::is_same_v<Report, SweepReport>)
    return {};
  else
    return figures_of(report);
}

template <typename Report>
bool is_interrupted(const Report& report) {
  if constexpr (requires { report.interrupted; })
    return report.interrupted;
  else
    return false;
}

template <typename Report>
void check(const Report& report, const std::string& command,
           const std::vector<std::string>& words) {
  if (command_of(report) != command) {
    throw Error(concat("it is a report of sbp-", command_of(report), ", not of sbp-", command));
  }
  if (is_interrupted(report)) throw Error("it is of a run that was interrupted");
  const std::vector<std::string>& line = report.header.command_line;
  const bool same =
      line.size() > words.size() && std::equal(words.begin(), words.end(), line.begin() + 1);
  if (!same) throw Error("it is a report of other options than this point has");
}

}  // namespace

PointFigures figures_of(const TrainReport& report) {
  PointFigures figures = common_figures(report.header, report.strategy);
  if (report.memory) {
    figures.peak_bytes = report.memory->peak_bytes;
    figures.transient_peak_bytes = report.memory->transient_peak_bytes;
    figures.saved_distinct_bytes = report.memory->saved.distinct_bytes;
    figures.saved_index_bytes = report.memory->saved.index_bytes;
  }
  if (!report.epochs.empty()) {
    figures.train_loss = report.epochs.back().train_loss;
    figures.samples_per_second = report.epochs.back().samples_per_second;
  }
  if (report.final_evaluation) {
    figures.test_loss = report.final_evaluation->loss;
    figures.top1 = report.final_evaluation->top1;
    figures.top5 = report.final_evaluation->top5;
  }
  if (!report.fidelity.empty()) {
    add_agreement(report.fidelity.back().agreement, figures);
    add_layer_cosine(report.fidelity.back().cosine_over_layers, figures);
  }
  return figures;
}

PointFigures figures_of(const ProfileReport& report) {
  PointFigures figures = common_figures(report.header, report.strategy);
  figures.peak_bytes = report.memory.peak.bytes;
  figures.transient_peak_bytes = report.memory.transient_peak_bytes;
  figures.saved_distinct_bytes = report.memory.saved.distinct_bytes;
  figures.saved_index_bytes = report.memory.saved.index_bytes;
  if (report.time) {
    figures.step_seconds = report.time->step.median;
    figures.samples_per_second = report.time->samples_per_second;
  }
  return figures;
}

PointFigures figures_of(const CorrelateReport& report) {
  if (report.strategies.size() != 1) {
    PointFigures figures;
    figures.batch = configured_batch(report.header);
    return figures;
  }
  const StrategyFidelity& strategy = report.strategies.front();
  PointFigures figures = common_figures(report.header, strategy.strategy);
  figures.peak_bytes = strategy.peak_bytes;
  figures.saved_distinct_bytes = strategy.saved_distinct_bytes;
  figures.saved_index_bytes = strategy.saved_index_bytes;
  add_agreement(strategy.agreement, figures);
  add_layer_cosine(strategy.over_layers.cosine, figures);
  figures.local_cosine = mean_local_cosine(strategy);
  figures.update_cosine = strategy.update_cosine;
  figures.noise_ratio = strategy.noise.noise_ratio;
  return figures;
}

std::string version_text(const Environment& environment) {
  std::string text = environment.sbp_version;
  if (!environment.git_commit.empty()) text += " (" + environment.git_commit + ")";
  if (!environment.libtorch_version.empty()) text += ", LibTorch " + environment.libtorch_version;
  return text;
}

PointFacts facts_of(const AnyReport& report, const std::string& command,
                    const std::vector<std::string>& words) {
  return std::visit(
      [&](const auto& any) {
        check(any, command, words);
        return PointFacts{.figures = figures_of_any(any),
                          .version = version_text(any.header.environment),
                          .machine = any.header.environment.processor,
                          .threads = any.header.environment.threads};
      },
      report);
}

}  // namespace sbp::sweep
