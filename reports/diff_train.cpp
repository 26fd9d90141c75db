#include <set>

#include "reports/diff.h"
#include "reports/diff_tables.h"
#include "reports/figures.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

DataTable totals_change(const TrainReport& before, const TrainReport& after) {
  DataTable table = figures_change_table("totals", "totals");
  std::vector<Cell> a, b;
  add_figures(a, figures_of(before));
  add_figures(b, figures_of(after));
  const std::vector<DataTable::Column> columns = figure_columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!is_known(a[i]) && !is_known(b[i])) continue;
    add_figure_change(table, columns[i].name, heading_of(columns[i]), a[i], b[i]);
  }
  add_figure_change(table, "steps", "steps", cell::Count{before.steps}, cell::Count{after.steps});
  add_figure_change(table, "seconds", "time", cell::Seconds{before.seconds},
                    cell::Seconds{after.seconds});
  return table;
}

const EpochResult* epoch_of(const TrainReport& report, std::int64_t epoch) {
  for (const EpochResult& result : report.epochs) {
    if (result.epoch == epoch) return &result;
  }
  return nullptr;
}

// A row an epoch and figure.
DataTable epochs_change(const TrainReport& before, const TrainReport& after) {
  DataTable table = change_table("epochs", "epochs", {{"epoch"}, text_column("figure")});
  const auto figures = [](const EpochResult* epoch) -> std::vector<std::pair<const char*, Cell>> {
    const cell::Unknown missing{"no such epoch"};
    const cell::Unknown not_evaluated{"not evaluated after this epoch"};
    if (epoch == nullptr) {
      return {{"train_loss", missing}, {"test_loss", missing}, {"top1", missing}};
    }
    std::vector<std::pair<const char*, Cell>> cells = {
        {"train_loss", cell::Number{epoch->train_loss}},
        {"test_loss", not_evaluated},
        {"top1", not_evaluated}};
    if (epoch->evaluation) {
      cells[1].second = cell::Number{epoch->evaluation->loss};
      cells[2].second = cell::Percent{epoch->evaluation->top1};
    }
    return cells;
  };
  std::set<std::int64_t> numbers;
  for (const TrainReport* report : {&before, &after}) {
    for (const EpochResult& epoch : report->epochs) numbers.insert(epoch.epoch);
  }
  for (const std::int64_t number : numbers) {
    const EpochResult* const a = epoch_of(before, number);
    const EpochResult* const b = epoch_of(after, number);
    const auto old_cells = figures(a);
    const auto new_cells = figures(b);
    for (std::size_t i = 0; i < old_cells.size(); ++i) {
      const auto& [name, value] = old_cells[i];
      if (!is_known(value) && !is_known(new_cells[i].second)) continue;
      add_change(table, {cell::Count{number}, cell::Word{name}}, value, new_cells[i].second);
    }
  }
  return table;
}

}  // namespace

Document difference_of(const TrainReport& before, const TrainReport& after) {
  require_same_model("training runs", before.model, after.model);
  Document document = difference_document({.title = "difference of two training runs",
                                           .before = {before.header, before.model, before.strategy},
                                           .after = {after.header, after.model, after.strategy}});
  for (const auto& [side, report] : {std::pair("before", &before), std::pair("after", &after)}) {
    if (report->interrupted) document.notes.push_back(concat(side, " was interrupted"));
    if (!report->memory)
      document.notes.push_back(concat(side, " has no memory: no step was traced"));
  }
  document.tables = {totals_change(before, after)};
  if (before.memory && after.memory) {
    document.tables.push_back(
        categories_change(before.memory->categories_at_peak, after.memory->categories_at_peak));
  }
  document.tables.push_back(epochs_change(before, after));
  document.main_table = "totals";
  return document;
}

}  // namespace sbp::reports
