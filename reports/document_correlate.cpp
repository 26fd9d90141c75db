#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/format.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

constexpr const char* kNoFigure = "nothing to compare: the exact gradient is zero, or unmeasured";
constexpr const char* kBaseline = "a baseline drops nothing";

Cell number(const std::optional<double>& value) {
  return cell_or<cell::Number>(value, kNoFigure);
}

// Three significant digits, however small.
Cell small(const std::optional<double>& value) {
  if (!value) return cell::Unknown{kNoFigure};
  return cell::Number{*value, -1};
}

void add_agreement(std::vector<Cell>& row, const Agreement& agreement) {
  row.insert(row.end(), {number(agreement.cosine), number(agreement.relative_error),
                         number(agreement.norm_ratio), number(agreement.sign_agreement)});
}

void add_agreement_columns(DataTable& table) {
  table.columns.insert(table.columns.end(), {{"cosine"},
                                             {"relative_error", "error"},
                                             {"norm_ratio", "norm"},
                                             {"sign_agreement", "signs"}});
}

// The start of a row: overall, and over layers.
std::vector<Cell> row_of(std::string kind, const std::string& name, std::vector<Cell> strategy,
                         const Agreement& agreement, const LayerSpread& cosine) {
  std::vector<Cell> row = {cell::Word{std::move(kind)}, cell::Text{name}};
  for (Cell& value : strategy) row.push_back(std::move(value));
  add_agreement(row, agreement);
  row.insert(row.end(),
             {number(cosine.mean), number(cosine.minimum), cell::Text{cosine.minimum_layer}});
  return row;
}

// Baselines first.
DataTable strategies_table(const CorrelateReport& report) {
  using Readers = DataTable::Readers;
  DataTable table{.name = "strategies", .title = "gradients against the exact one"};
  table.columns = {text_column("kind"),
                   text_column("name", "gradient"),
                   {"strategy", "", Table::Align::left, Readers::programs},
                   {"effective_keep_ratio", "kept"},
                   {"forward_exact"}};
  add_agreement_columns(table);
  table.columns.insert(table.columns.end(),
                       {{"mean_layer_cosine", "cosine of layers"},
                        {"minimum_layer_cosine", "least"},
                        text_column("minimum_layer", "in layer"),
                        {"local_cosine", "local"},
                        {"update_cosine", "update"},
                        {"saved_distinct_bytes", "saved"},
                        {"saved_index_bytes", "indices"},
                        {"peak_bytes"},
                        {"scoring", "", Table::Align::left, Readers::programs}});
  for (const BaselineFidelity& baseline : report.baselines) {
    const Cell none = cell::Unknown{kBaseline};
    std::vector<Cell> row = row_of("baseline", baseline.name, {none, none, none},
                                   baseline.agreement, baseline.over_layers.cosine);
    row.insert(row.end(), {none, number(baseline.update_cosine), none, none, none, none});
    table.add(std::move(row));
  }
  for (const StrategyFidelity& strategy : report.strategies) {
    const PointFigures figures = figures_of(report, strategy);
    std::vector<Cell> row = row_of(
        "strategy", strategy.name,
        {cell::Text{strategy.strategy.spec}, cell::Number{strategy.strategy.effective_keep_ratio},
         cell::Flag{strategy.strategy.forward_exact}},
        strategy.agreement, strategy.over_layers.cosine);
    row.insert(
        row.end(),
        {number(figures.local_cosine), number(strategy.update_cosine),
         cell::Bytes{strategy.saved_distinct_bytes}, cell::Bytes{strategy.saved_index_bytes},
         cell::Bytes{strategy.peak_bytes}, cell::Word{std::string(to_string(strategy.scoring))}});
    table.add(std::move(row));
  }
  return table;
}

DataTable noise_table(const CorrelateReport& report) {
  DataTable table{.name = "noise", .title = "over masks"};
  table.columns = {text_column("strategy"), {"masks"},    {"cosine_of_mean"},
                   {"squared_bias"},        {"variance"}, {"noise_ratio"},
                   {"effective_batch"}};
  for (const StrategyFidelity& strategy : report.strategies) {
    const MaskNoise& noise = strategy.noise;
    table.add({cell::Text{strategy.name}, cell::Count{noise.masks}, number(noise.cosine_of_mean),
               small(noise.squared_bias), small(noise.variance), small(noise.noise_ratio),
               noise.effective_batch ? Cell(cell::Number{*noise.effective_batch, 1})
                                     : Cell(cell::Unknown{kNoFigure})});
  }
  return table;
}

DataTable layers_table(const CorrelateReport& report) {
  DataTable table{.name = "layers", .title = "layers, the lowest cosine first"};
  table.columns = {
      text_column("strategy"), text_column("name", "layer"), text_column("kind"), {"elements"}};
  add_agreement_columns(table);
  table.columns.insert(table.columns.end(), {{"local_cosine", "local"},
                                             {"local_relative_error", "local error"},
                                             {"exact_norm"},
                                             {"noise_ratio"},
                                             {"saved_distinct_bytes", "saved"}});
  table.ranked_by = "cosine";
  table.least_first = true;
  for (const StrategyFidelity& strategy : report.strategies) {
    for (const LayerFidelity& layer : strategy.layers) {
      std::vector<Cell> row = {cell::Text{strategy.name}, cell::Text{layer.name},
                               cell::Text{layer.kind}, cell::Count{layer.elements}};
      add_agreement(row, layer.agreement);
      row.insert(row.end(), {number(layer.local_cosine), number(layer.local_relative_error),
                             small(layer.exact_norm), small(layer.noise_ratio),
                             cell::Bytes{layer.saved_distinct_bytes}});
      table.add(std::move(row));
    }
  }
  return table;
}

DataTable parameters_table(const CorrelateReport& report) {
  DataTable table{.name = "parameters", .title = "parameters, the lowest cosine first"};
  table.columns = {text_column("strategy"),
                   text_column("name", "parameter"),
                   text_column("layer"),
                   {"elements"}};
  add_agreement_columns(table);
  table.readers = DataTable::Readers::programs;
  table.ranked_by = "cosine";
  table.least_first = true;
  for (const StrategyFidelity& strategy : report.strategies) {
    for (const ParameterFidelity& parameter : strategy.parameters) {
      std::vector<Cell> row = {cell::Text{strategy.name}, cell::Text{parameter.name},
                               cell::Text{parameter.layer}, cell::Count{parameter.elements}};
      add_agreement(row, parameter.agreement);
      table.add(std::move(row));
    }
  }
  return table;
}

DataTable summary_table(const CorrelateReport& report) {
  DataTable table{.name = "summary", .title = "summary"};
  table.columns = {text_column("model"), text_column("strategy")};
  for (auto& column : figure_columns()) table.columns.push_back(std::move(column));
  table.readers = DataTable::Readers::programs;
  for (const StrategyFidelity& strategy : report.strategies) {
    std::vector<Cell> row = {cell::Text{report.model.spec}, cell::Text{strategy.strategy.spec}};
    add_figures(row, figures_of(report, strategy));
    table.add(std::move(row));
  }
  return table;
}

}  // namespace

Facts state_facts(const CorrelateReport& report) {
  const TrainingState& state = report.state;
  return {{"state",
           concat("after ", count_text(state.steps), state.steps == 1 ? " step" : " steps", " (",
                  state.source, "), loss ", number_text(state.loss, 4), ", gradient norm ",
                  state.gradient_norm ? short_number_text(*state.gradient_norm) : "-")},
          {"batches",
           concat(count_text(report.batches), " compared in ", seconds_text(report.seconds))}};
}

Document document_of(const CorrelateReport& report) {
  Document document{.title = "gradients against the exact one"};
  document.facts = header_facts(report.header, report.model, nullptr);
  for (auto& fact : state_facts(report)) document.facts.push_back(std::move(fact));
  if (report.interrupted) {
    document.notes = {"interrupted: the other strategies were not compared"};
  }
  document.tables = {strategies_table(report), noise_table(report), layers_table(report),
                     parameters_table(report), summary_table(report)};
  document.main_table = "strategies";
  document.warnings = report.header.warnings;
  return document;
}

}  // namespace sbp::reports
