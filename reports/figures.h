// What reports tell in short, for comparing them.
#pragma once

#include <optional>
#include <string_view>

#include "reports/data_table.h"
#include "reports/report.h"
#include "reports/sweep_points.h"

namespace sbp::reports {

// A profile's training loss is that of its traced step. A training run's are those of the last
// epoch, the final evaluation, and of --fidelity-every the last look.
PointFigures figures_of(const ProfileReport& report);
PointFigures figures_of(const TrainReport& report);
// Its peak is that of the requested bytes, as a profile's is.
PointFigures figures_of(const PredictionReport& report);
PointFigures figures_of(const CorrelateReport& report, const StrategyFidelity& strategy);

// A figure by its name (each_figure) as people read it: bytes, a share, a time or a number.
Cell figure_cell(std::string_view name, std::int64_t value);
Cell figure_cell(std::string_view name, double value);
template <typename Value>
Cell figure_cell(std::string_view name, const std::optional<Value>& value) {
  if (!value) return cell::Unknown{"the report has no such figure"};
  return figure_cell(name, *value);
}

// The column of a figure, one of each, and a report's cells for them.
DataTable::Column figure_column(const std::string& name);
std::vector<DataTable::Column> figure_columns();
void add_figures(std::vector<Cell>& row, const PointFigures& figures);

}  // namespace sbp::reports
