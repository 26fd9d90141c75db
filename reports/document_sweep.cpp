#include <algorithm>
#include <array>
#include <set>

#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/format.h"
#include "reports/sections.h"
#include "reports/sweep_summary.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

// An axis may be called as a figure is: `batch` asked for, and `batch` as it was.
DataTable::Column axis_column(const std::string& name) {
  const bool is_figure = std::ranges::any_of(
      figure_columns(), [&](const DataTable::Column& column) { return column.name == name; });
  const std::string shown = is_figure ? "axis." + name : name;
  return text_column(shown, shown);
}

using Readers = DataTable::Readers;
constexpr auto kRight = Table::Align::right;
constexpr const char* kNoAxis = "the axis names nothing of this point";
constexpr const char* kNoFigure = "no finished point has this figure";

// Figures that the text of a sweep leaves to programs: others say nearly the same.
constexpr std::array<std::string_view, 6> kForPrograms = {
    "capacity_bytes", "transient_peak_bytes", "saved_index_bytes",
    "top5",           "local_cosine",         "samples_per_second"};
// What groups are compared by.
constexpr std::array<std::string_view, 10> kCompared = {
    "peak_bytes",     "device_peak_bytes", "largest_batch", "saved_distinct_bytes",
    "train_loss",     "test_loss",         "top1",          "cosine",
    "relative_error", "step_seconds"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

std::vector<Cell> axis_cells(const std::vector<std::optional<std::string>>& values) {
  std::vector<Cell> cells;
  for (const auto& value : values) cells.push_back(cell_or<cell::Text>(value, kNoAxis));
  return cells;
}

std::vector<DataTable::Column> axis_columns(const std::vector<std::string>& axes) {
  std::vector<DataTable::Column> columns;
  for (const std::string& axis : axes) columns.push_back(axis_column(axis));
  return columns;
}

const Estimate* estimate_in(const SweepGroup& group, const std::string& name) {
  const auto found = std::ranges::find(group.figures, name, &FigureEstimate::name);
  return found == group.figures.end() ? nullptr : &found->estimate;
}

// "0.9123 ± 0.0031"; no interval where there is none, or no spread.
std::string estimate_text(std::string_view name, const Estimate& estimate) {
  const std::string mean = shown(figure_cell(name, estimate.mean));
  if (!estimate.high || *estimate.standard_deviation == 0) return mean;
  return concat(mean, " ± ", shown(figure_cell(name, *estimate.high - estimate.mean)));
}

std::string difference_text(const FigureDifference& difference) {
  const Estimate& estimate = difference.estimate;
  const Cell change =
      change_of(figure_cell(difference.name, 0.0), figure_cell(difference.name, estimate.mean));
  std::string text = shown(change);
  if (estimate.high && *estimate.standard_deviation != 0) {
    const Cell half = figure_cell(difference.name, *estimate.high - estimate.mean);
    const auto* percent = std::get_if<cell::Percent>(&half);
    text +=
        concat(" ± ", percent != nullptr ? number_text(100.0 * percent->ratio, 2) : shown(half));
  }
  return difference.resolved == std::optional(false) ? text + " ?" : text;
}

// ---- tables

DataTable points_table(const SweepReport& sweep) {
  DataTable table{.name = "points", .title = "points"};
  table.columns = {text_column("id", "point")};
  for (const SweepAxis& axis : sweep.axes) {
    table.columns.push_back(axis_column(axis.name));
  }
  table.columns.push_back(text_column("status"));
  for (auto& column : figure_columns()) table.columns.push_back(std::move(column));
  table.columns.insert(
      table.columns.end(),
      {{"seconds", "time"}, {"estimated_bytes", "estimate"}, text_column("reason")});
  for (const SweepPoint& point : sweep.points) {
    std::vector<Cell> row = {cell::Text{point.id}};
    for (Cell& value : axis_cells(point.values)) row.push_back(std::move(value));
    row.emplace_back(cell::Word{std::string(to_string(point.status))});
    add_figures(row, point.figures);
    row.insert(row.end(), {cell_or<cell::Seconds>(point.seconds, "not run to its end"),
                           cell_or<cell::Bytes>(point.estimated_bytes, "not estimated"),
                           cell::Text{point.reason}});
    table.add(std::move(row));
  }
  table.readers = Readers::programs;
  return table;
}

DataTable unfinished_table(const SweepReport& sweep) {
  DataTable table{.name = "unfinished", .title = "not finished: in no figure"};
  table.columns = {text_column("id", "point")};
  for (const SweepAxis& axis : sweep.axes) {
    table.columns.push_back(axis_column(axis.name));
  }
  table.columns.insert(table.columns.end(), {text_column("status"), text_column("reason", "why")});
  for (const SweepPoint& point : sweep.points) {
    if (point.status == PointStatus::finished) continue;
    std::vector<Cell> row = {cell::Text{point.id}};
    for (Cell& value : axis_cells(point.values)) row.push_back(std::move(value));
    row.insert(row.end(),
               {cell::Word{std::string(to_string(point.status))}, cell::Text{point.reason}});
    table.add(std::move(row));
  }
  return table;
}

// The figures that any group has, in order.
std::vector<std::string> figures_in(const SweepSummary& summary) {
  std::vector<std::string> names;
  for (const auto& column : figure_columns()) {
    const bool any = std::ranges::any_of(summary.groups, [&](const SweepGroup& group) {
      return estimate_in(group, column.name) != nullptr;
    });
    if (any) names.push_back(column.name);
  }
  return names;
}

// Whether every group has the same mean, so that people need not see it.
bool is_constant(const SweepSummary& summary, const std::string& name) {
  std::set<double> means;
  for (const SweepGroup& group : summary.groups) {
    const Estimate* estimate = estimate_in(group, name);
    if (estimate == nullptr) return false;
    means.insert(estimate->mean);
  }
  return summary.groups.size() > 1 && means.size() == 1;
}

void add_estimate(std::vector<Cell>& row, const std::string& name, const Estimate* estimate) {
  if (estimate == nullptr) {
    row.insert(row.end(), 6, cell::Unknown{kNoFigure});
    return;
  }
  const std::string one = "of one value";
  const auto spread = [&](const std::optional<double>& value) -> Cell {
    if (!value) return cell::Unknown{one};
    return figure_cell(name, *value);
  };
  row.insert(row.end(),
             {cell::Text{estimate_text(name, *estimate)}, figure_cell(name, estimate->mean),
              spread(estimate->standard_deviation), spread(estimate->low), spread(estimate->high),
              cell::Count{estimate->count}});
}

void add_estimate_columns(DataTable& table, const DataTable::Column& figure, bool for_people) {
  const std::string& name = figure.name;
  table.columns.push_back(
      {name + "_text", heading_of(figure), kRight, for_people ? Readers::people : Readers::nobody});
  for (const char* part : {"_mean", "_standard_deviation", "_low", "_high", "_count"}) {
    table.columns.push_back({name + part, "", kRight, Readers::programs});
  }
}

Cell front_cell(const std::optional<bool>& mark) {
  return cell_or<cell::Flag>(mark, "not both of peak bytes and this figure are known");
}

DataTable summary_table(const SweepSummary& summary) {
  DataTable table{.name = "summary",
                  .title = "groups over seeds: mean ± half of the 95 % interval",
                  .nothing = "none"};
  table.columns = axis_columns(summary.axes);
  table.columns.insert(table.columns.end(),
                       {{"finished"}, {"points"}, text_column("fewer_seeds", " ")});
  table.columns.back().readers = Readers::people;
  table.columns.push_back({"has_fewer_seeds", "", kRight, Readers::programs});
  const std::vector<std::string> figures = figures_in(summary);
  for (const std::string& name : figures) {
    const bool for_people = !is_one_of(name, kForPrograms) && !is_constant(summary, name);
    add_estimate_columns(table, figure_column(name), for_people);
  }
  table.columns.insert(table.columns.end(),
                       {{"pareto_cosine", "front by cosine"}, {"pareto_top1", "front by top-1"}});
  for (const SweepGroup& group : summary.groups) {
    std::vector<Cell> row = axis_cells(group.values);
    row.insert(row.end(),
               {cell::Count{group.finished}, cell::Count{group.points},
                cell::Text{group.fewer_seeds ? "fewer" : ""}, cell::Flag{group.fewer_seeds}});
    for (const std::string& name : figures) add_estimate(row, name, estimate_in(group, name));
    row.insert(row.end(), {front_cell(group.pareto_cosine), front_cell(group.pareto_top1)});
    table.add(std::move(row));
  }
  if (std::ranges::any_of(summary.groups, &SweepGroup::fewer_seeds)) {
    table.notes = {"fewer: other groups have more finished seeds"};
  }
  return table;
}

// One row a group and figure.
DataTable differences_table(const SweepSummary& summary) {
  DataTable table{.name = "differences",
                  .title = concat("against ", summary.baseline, ", seed by seed")};
  table.columns = axis_columns(summary.axes);
  table.columns.insert(table.columns.end(), {text_column("figure"),
                                             {"mean"},
                                             {"standard_deviation"},
                                             {"low"},
                                             {"high"},
                                             {"pairs"},
                                             {"resolved"}});
  table.readers = Readers::programs;
  const std::string one = "of one pair of seeds";
  for (const SweepGroup& group : summary.groups) {
    for (const auto& [name, estimate, resolved] : group.differences) {
      const auto spread = [&, &figure = name](const std::optional<double>& value) -> Cell {
        if (!value) return cell::Unknown{one};
        return figure_cell(figure, *value);
      };
      std::vector<Cell> row = axis_cells(group.values);
      row.insert(row.end(),
                 {cell::Text{name}, figure_cell(name, estimate.mean),
                  spread(estimate.standard_deviation), spread(estimate.low), spread(estimate.high),
                  cell::Count{estimate.count}, cell_or<cell::Flag>(resolved, one)});
      table.add(std::move(row));
    }
  }
  return table;
}

Cell difference_cell(const SweepGroup& group, std::string_view name) {
  const auto found = std::ranges::find(group.differences, name, &FigureDifference::name);
  if (found == group.differences.end()) return cell::Unknown{"not on both sides"};
  return cell::Text{difference_text(*found)};
}

// The same as people read it: a row a group.
DataTable comparison_table(const SweepSummary& summary) {
  DataTable table{.name = "comparison",
                  .title = concat("change against ", summary.baseline, ", seed by seed")};
  table.columns = axis_columns(summary.axes);
  for (const std::string_view name : kCompared) {
    table.columns.push_back(figure_column(std::string(name)));
  }
  table.readers = Readers::people;
  bool unresolved = false;
  std::vector<std::string> alone;
  for (const SweepGroup& group : summary.groups) {
    if (group.differences.empty()) continue;
    std::vector<Cell> row = axis_cells(group.values);
    for (const std::string_view name : kCompared) {
      row.push_back(difference_cell(group, name));
      unresolved = unresolved || shown(row.back()).ends_with('?');
    }
    table.add(std::move(row));
  }
  if (unresolved) table.notes = {"?: not resolved, the 95 % interval of the change holds 0"};
  return table;
}

}  // namespace

Document document_of(const SweepReport& report, const std::string& baseline) {
  const SweepSummary summary = summary_of(report, baseline);
  Document document{.title = "sweep"};
  document.facts = sweep_facts(report);
  document.tables = {summary_table(summary), comparison_table(summary), differences_table(summary),
                     points_table(report), unfinished_table(report)};
  document.main_table = "points";
  document.warnings = report.header.warnings;
  return document;
}

}  // namespace sbp::reports
