#include <algorithm>

#include "reports/figures.h"
#include "reports/format.h"
#include "reports/sections.h"
#include "reports/table.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Align = Table::Align;

std::vector<std::string> agreement_cells(const std::string& name, const Agreement& agreement,
                                         const AgreementOverLayers& over_layers) {
  return {name,
          figure_text(agreement.cosine),
          figure_text(over_layers.cosine.mean),
          figure_text(over_layers.cosine.minimum),
          over_layers.cosine.minimum_layer,
          figure_text(agreement.relative_error),
          figure_text(agreement.norm_ratio),
          figure_text(agreement.sign_agreement)};
}

std::string gradients_text(const CorrelateReport& report) {
  Table table({{"gradient"},
               {"cosine", Align::right},
               {"layers", Align::right},
               {"least", Align::right},
               {"in layer"},
               {"error", Align::right},
               {"norm", Align::right},
               {"signs", Align::right},
               {"local", Align::right},
               {"update", Align::right},
               {"saved", Align::right},
               {"peak", Align::right}});
  for (const BaselineFidelity& baseline : report.baselines) {
    auto cells = agreement_cells(baseline.name, baseline.agreement, baseline.over_layers);
    cells.insert(cells.end(), {"", figure_text(baseline.update_cosine), "", ""});
    table.add(std::move(cells));
  }
  for (const StrategyFidelity& strategy : report.strategies) {
    auto cells = agreement_cells(strategy.name, strategy.agreement, strategy.over_layers);
    cells.insert(cells.end(),
                 {figure_text(figures_of(report, strategy).local_cosine),
                  figure_text(strategy.update_cosine), bytes_text(strategy.saved_distinct_bytes),
                  bytes_text(strategy.peak_bytes)});
    table.add(std::move(cells));
  }
  return table.text();
}

std::string noise_text(const CorrelateReport& report) {
  Table table({{"strategy"},
               {"kept", Align::right},
               {"masks", Align::right},
               {"cosine of mean", Align::right},
               {"bias^2", Align::right},
               {"variance", Align::right},
               {"noise ratio", Align::right},
               {"effective batch", Align::right}});
  for (const StrategyFidelity& strategy : report.strategies) {
    const MaskNoise& noise = strategy.noise;
    table.add({strategy.name, number_text(strategy.strategy.effective_keep_ratio, 4),
               count_text(noise.masks), figure_text(noise.cosine_of_mean),
               figure_text(noise.squared_bias), figure_text(noise.variance),
               figure_text(noise.noise_ratio), figure_text(noise.effective_batch, 1)});
  }
  return table.text();
}

struct LayerOfStrategy {
  const LayerFidelity* layer;
  const std::string* strategy;
};

std::string weakest_text(const CorrelateReport& report, std::int64_t top) {
  std::vector<LayerOfStrategy> layers;
  for (const StrategyFidelity& strategy : report.strategies) {
    for (const LayerFidelity& layer : strategy.layers) {
      if (layer.agreement.cosine && *layer.agreement.cosine < 1.0) {
        layers.push_back({&layer, &strategy.name});
      }
    }
  }
  std::ranges::stable_sort(layers, {},
                           [](const auto& entry) { return *entry.layer->agreement.cosine; });
  if (top > 0 && std::ssize(layers) > top) layers.resize(static_cast<std::size_t>(top));
  Table table({{"layer"},
               {"cosine", Align::right},
               {"local", Align::right},
               {"error", Align::right},
               {"norm", Align::right},
               {"signs", Align::right},
               {"saved", Align::right},
               {"strategy"}});
  for (const auto& [layer, name] : layers) {
    const Agreement& agreement = layer->agreement;
    table.add({layer->name, figure_text(agreement.cosine), figure_text(layer->local_cosine),
               figure_text(agreement.relative_error), figure_text(agreement.norm_ratio),
               figure_text(agreement.sign_agreement), bytes_text(layer->saved_distinct_bytes),
               *name});
  }
  return layers.empty() ? std::string() : table.text();
}

std::string state_text(const CorrelateReport& report) {
  const TrainingState& state = report.state;
  return concat("at step ", count_text(state.steps), " (", printable(state.source), "), loss ",
                number_text(state.loss, 4), ", gradient norm ", figure_text(state.gradient_norm),
                "; ", count_text(report.batches), report.batches == 1 ? " batch" : " batches",
                " compared in ", seconds_text(report.seconds), "\n");
}

}  // namespace

std::string to_text(const CorrelateReport& report, const TextOptions& options) {
  const bool color = options.color;
  std::string text =
      header_text("gradients against the exact one", report.header, report.model, nullptr, color);
  text += "\n" + state_text(report) + gradients_text(report);
  if (report.interrupted) text += "  interrupted: the other strategies were not compared\n";
  if (!report.strategies.empty()) {
    text += "\n" + heading("over masks", color) + noise_text(report);
  }
  const std::string weakest = weakest_text(report, options.top);
  if (!weakest.empty()) text += "\n" + heading("weakest layers", color) + weakest;
  return text + warnings_text(report.header, color);
}

}  // namespace sbp::reports
