#include "reports/text.h"

#include <algorithm>

#include "reports/format.h"
#include "reports/sections.h"
#include "reports/table.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Align = Table::Align;

std::string evaluation_text(const Evaluation& evaluation) {
  return concat("top-1 ", percent_text(evaluation.top1), ", top-5 ", percent_text(evaluation.top5),
                ", loss ", number_text(evaluation.loss, 4), " on ", count_text(evaluation.samples),
                " samples");
}

std::string epochs_text(const std::vector<EpochResult>& epochs) {
  Table table({{"epoch", Align::right},
               {"steps", Align::right},
               {"train loss", Align::right},
               {"test loss", Align::right},
               {"top-1", Align::right},
               {"top-5", Align::right},
               {"learning rate", Align::right},
               {"samples/s", Align::right},
               {"waited", Align::right},
               {"time", Align::right}});
  for (const EpochResult& epoch : epochs) {
    const auto& test = epoch.evaluation;
    table.add({count_text(epoch.epoch), count_text(epoch.steps), number_text(epoch.train_loss, 4),
               test ? number_text(test->loss, 4) : "-", test ? percent_text(test->top1) : "-",
               test ? percent_text(test->top5) : "-", short_number_text(epoch.learning_rate),
               number_text(epoch.samples_per_second, 1), seconds_text(epoch.data_wait_seconds),
               seconds_text(epoch.seconds)});
  }
  return table.text();
}

// Some of them, evenly chosen: the report has them all.
std::string fidelity_text(const std::vector<FidelityPoint>& points, bool color) {
  constexpr std::size_t kMostShown = 12;
  Table table({{"before step", Align::right},
               {"cosine", Align::right},
               {"layers", Align::right},
               {"least", Align::right},
               {"in layer"},
               {"error", Align::right},
               {"norm", Align::right},
               {"signs", Align::right}});
  const std::size_t shown = std::min(points.size(), kMostShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t at = shown == 1 ? 0 : i * (points.size() - 1) / (shown - 1);
    const FidelityPoint& point = points[at];
    table.add(
        {count_text(point.step + 1), figure_text(point.agreement.cosine),
         figure_text(point.cosine_over_layers.mean), figure_text(point.cosine_over_layers.minimum),
         point.cosine_over_layers.minimum_layer, figure_text(point.agreement.relative_error),
         figure_text(point.agreement.norm_ratio), figure_text(point.agreement.sign_agreement)});
  }
  return "\n" + heading("gradients against the exact ones", color) + table.text();
}

std::string summary_text(const MemorySummary& memory, bool color) {
  return "\n" + heading("memory of one training step", color) + facts_text(memory_facts(memory)) +
         "\n" + heading("alive at the peak", color) +
         categories_text(memory.categories_at_peak, memory.peak_bytes);
}

}  // namespace

Facts memory_facts(const MemorySummary& memory) {
  return {{"peak", bytes_text(memory.peak_bytes) +
                       (memory.peak_phase.empty() ? "" : ", in " + memory.peak_phase)},
          {"transient", bytes_text(memory.transient_peak_bytes) + " of the peak"},
          {"saved", saved_text(memory.saved)},
          {"ledger", ledger_text(memory.ledger)}};
}

Facts result_facts(const TrainReport& report) {
  Facts facts = {{"steps", concat(count_text(report.steps), " in ", seconds_text(report.seconds))}};
  if (!report.step_losses.empty()) {
    facts.emplace_back("training loss",
                       concat(number_text(report.step_losses.front(), 4), " at the first step, ",
                              number_text(report.step_losses.back(), 4), " at the last"));
  }
  if (report.resumed_from) {
    facts.emplace_back("resumed",
                       "from the checkpoint of step " + count_text(*report.resumed_from));
  }
  facts.emplace_back("test", report.final_evaluation ? evaluation_text(*report.final_evaluation)
                                                     : std::string("not evaluated"));
  if (report.final_averaged_evaluation) {
    facts.emplace_back("averaged weights", evaluation_text(*report.final_averaged_evaluation));
  }
  if (!report.weights_checksum.empty()) facts.emplace_back("weights", report.weights_checksum);
  return facts;
}

std::string to_text(const TrainReport& report, const TextOptions& options) {
  const bool color = options.color;
  std::string text =
      header_text("training run", report.header, report.model, &report.strategy, color);
  if (report.interrupted) {
    text += concat("\ninterrupted after ", count_text(report.steps),
                   report.steps == 1 ? " step" : " steps", "\n");
  }
  if (!report.epochs.empty()) {
    text += "\n" + heading("epochs", color) + epochs_text(report.epochs);
  }
  text += "\n" + heading("result", color) + facts_text(result_facts(report));
  if (!report.fidelity.empty()) text += fidelity_text(report.fidelity, color);
  if (report.memory) text += summary_text(*report.memory, color);
  return text + warnings_text(report.header, color);
}

std::string plan_text(const std::vector<PlanEntry>& plan, const StrategyOutcome& strategy) {
  std::string text =
      concat("plan of ", printable(strategy.spec), "\n", "  ", outcome_text(strategy), "\n");
  const std::string rows = plan_rows_text(plan);
  if (rows.empty()) {
    return text + concat("  every site plain (", plan.size(),
                         " in all): nothing dropped, nothing coded\n");
  }
  return text + rows;
}

}  // namespace sbp::reports
