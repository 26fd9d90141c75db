// Many reports in one table.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/sections.h"
#include "reports/short_specs.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

const Header& header_of(const AnyReport& report) {
  return std::visit([](const auto& any) -> const Header& { return any.header; }, report);
}

// What a row is of.
struct Subject {
  std::string report;
  std::string kind;
  ModelFacts model;
  StrategyOutcome strategy;
  PointFigures figures;
};

struct Subjects {
  std::vector<Subject>& all;
  const std::string& name;

  void operator()(const ProfileReport& report) const {
    all.push_back({name, "profile", report.model, report.strategy, figures_of(report)});
  }
  void operator()(const TrainReport& report) const {
    all.push_back({name, "train", report.model, report.strategy, figures_of(report)});
  }
  void operator()(const CorrelateReport& report) const {
    for (const StrategyFidelity& strategy : report.strategies) {
      all.push_back(
          {name, "correlate", report.model, strategy.strategy, figures_of(report, strategy)});
    }
  }
  void operator()(const PredictionReport& report) const {
    all.push_back({name, "prediction", report.model, report.strategy, figures_of(report)});
  }
  void operator()(const SweepReport&) const {
    throw Error(concat("cannot compare '", name,
                       "' with other reports: it is a sweep, whose points are rows of its own; "
                       "give it alone, or two sweeps with --diff"));
  }
};

DataTable reports_table(const std::vector<NamedReport>& reports) {
  using Readers = DataTable::Readers;
  constexpr auto kLeft = Table::Align::left;
  std::vector<Subject> subjects;
  for (const NamedReport& named : reports) {
    std::visit(Subjects{subjects, named.name}, named.report);
  }
  std::vector<std::string> models, strategies;
  for (const Subject& subject : subjects) {
    models.push_back(subject.model.spec);
    strategies.push_back(subject.strategy.spec);
  }
  const std::vector<std::string> short_models = short_specs(models);
  const std::vector<std::string> short_strategies = short_specs(strategies);

  DataTable table{.name = "summary", .title = "reports"};
  table.columns = {text_column("report"),
                   text_column("kind"),
                   {"model", "", kLeft, Readers::programs},
                   {"strategy", "", kLeft, Readers::programs},
                   {"short_model", "model", kLeft, Readers::people},
                   {"short_strategy", "strategy", kLeft, Readers::people}};
  std::ranges::copy(figure_columns(), std::back_inserter(table.columns));
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    std::vector<Cell> row = {cell::Text{subjects[i].report}, cell::Text{subjects[i].kind},
                             cell::Text{models[i]},          cell::Text{strategies[i]},
                             cell::Text{short_models[i]},    cell::Text{short_strategies[i]}};
    add_figures(row, subjects[i].figures);
    table.add(std::move(row));
  }
  table.notes = {"of models and strategies only the keys that differ are shown"};
  return table;
}

std::vector<std::string> settings_of(const std::vector<NamedReport>& reports) {
  std::vector<std::string> keys;
  for (const NamedReport& named : reports) {
    for (const auto& [key, value] : header_of(named.report).configuration) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

// Whether a setting sets reports apart. One that a kind of report does not have is no difference.
bool differs(const std::vector<NamedReport>& reports, const std::vector<std::string>& values) {
  std::map<std::size_t, std::set<std::string>> of_kind;
  std::set<std::string> known;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    of_kind[reports[i].report.index()].insert(values[i]);
    if (!values[i].empty()) known.insert(values[i]);
  }
  return known.size() > 1 ||
         std::ranges::any_of(of_kind, [](const auto& kind) { return kind.second.size() > 1; });
}

// One row a setting that is not the same everywhere, one column a report.
DataTable differences_table(const std::vector<NamedReport>& reports) {
  DataTable table{.name = "settings", .title = "settings that differ", .nothing = "none"};
  table.columns = {text_column("setting")};
  for (std::size_t i = 0; i < reports.size(); ++i) {
    table.columns.push_back(text_column(concat("report_", i + 1), reports[i].name));
  }
  const auto add = [&](const std::string& key, const auto& value_in) {
    std::vector<std::string> values;
    for (const NamedReport& named : reports) values.push_back(value_in(header_of(named.report)));
    if (!differs(reports, values)) return;
    std::vector<Cell> row = {cell::Text{key}};
    for (std::string& value : values) {
      if (value.empty()) {
        row.emplace_back(cell::Unknown{"not a setting of this report"});
      } else {
        row.emplace_back(cell::Text{std::move(value)});
      }
    }
    table.add(std::move(row));
  };
  for (const std::string& key : settings_of(reports)) {
    add(key, [&](const Header& header) { return configured(header, key); });
  }
  for (const auto& [key, member] : kVersions) {
    add(key, [&](const Header& header) { return header.environment.*member; });
  }
  return table;
}

}  // namespace

Document comparison_of(const std::vector<NamedReport>& reports) {
  Document document{.title = concat("comparison of ", reports.size(), " reports")};
  document.tables = {reports_table(reports), differences_table(reports)};
  document.main_table = "summary";
  for (const NamedReport& named : reports) {
    for (const std::string& warning : header_of(named.report).warnings) {
      document.warnings.push_back(named.name + ": " + warning);
    }
  }
  return document;
}

}  // namespace sbp::reports
