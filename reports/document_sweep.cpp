#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/format.h"
#include "reports/sections.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

DataTable points_table(const SweepReport& sweep) {
  DataTable table{.name = "points", .title = "points"};
  table.columns = {text_column("id", "point")};
  for (const SweepAxis& axis : sweep.axes)
    table.columns.push_back(text_column(axis.name, axis.name));
  table.columns.push_back(text_column("status"));
  for (auto& column : figure_columns()) table.columns.push_back(std::move(column));
  table.columns.insert(
      table.columns.end(),
      {{"seconds", "time"}, {"estimated_bytes", "estimate"}, text_column("reason")});
  for (const SweepPoint& point : sweep.points) {
    std::vector<Cell> row = {cell::Text{point.id}};
    for (const auto& value : point.values) {
      row.push_back(cell_or<cell::Text>(value, "the axis names nothing of this point"));
    }
    row.emplace_back(cell::Word{std::string(to_string(point.status))});
    add_figures(row, point.figures);
    row.insert(row.end(), {cell_or<cell::Seconds>(point.seconds, "not run to its end"),
                           cell_or<cell::Bytes>(point.estimated_bytes, "not estimated"),
                           cell::Text{point.reason}});
    table.add(std::move(row));
  }
  return table;
}

}  // namespace

Document document_of(const SweepReport& report) {
  Document document{.title = "sweep"};
  document.facts = sweep_facts(report);
  document.tables = {points_table(report)};
  document.main_table = "points";
  document.warnings = report.header.warnings;
  return document;
}

}  // namespace sbp::reports
