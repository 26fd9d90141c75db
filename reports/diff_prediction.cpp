#include <set>

#include "reports/diff.h"
#include "reports/diff_tables.h"

namespace sbp::reports {
namespace {

using predict::Prediction;

DataTable totals_change(const Prediction& before, const Prediction& after) {
  DataTable table = figures_change_table("totals", "totals");
  const auto bytes = [&](const char* name, const char* words, std::int64_t Prediction::*figure) {
    add_figure_change(table, name, words, cell::Bytes{before.*figure}, cell::Bytes{after.*figure});
  };
  bytes("peak_device_bytes", "peak on the card", &Prediction::peak_device_bytes);
  bytes("peak_reserved_bytes", "reserved", &Prediction::peak_reserved_bytes);
  bytes("peak_allocated_bytes", "allocated", &Prediction::peak_allocated_bytes);
  bytes("peak_requested_bytes", "requested", &Prediction::peak_requested_bytes);
  return table;
}

// By name, in the order of `before`; what only `after` has comes last.
template <typename Row>
DataTable change_by_name(DataTable table, const std::vector<Row>& before,
                         const std::vector<Row>& after, std::int64_t Row::*figure) {
  const auto bytes_in = [&](const std::vector<Row>& rows, const std::string& name) -> Cell {
    for (const Row& row : rows) {
      if (row.name == name) return cell::Bytes{row.*figure};
    }
    return cell::Bytes{0};
  };
  std::set<std::string> told;
  for (const auto* rows : {&before, &after}) {
    for (const Row& row : *rows) {
      if (!told.insert(row.name).second) continue;
      add_change(table, {cell::Text{row.name}}, bytes_in(before, row.name),
                 bytes_in(after, row.name));
    }
  }
  return table;
}

}  // namespace

Document difference_of(const PredictionReport& before, const PredictionReport& after) {
  require_same_model("predictions", before.model, after.model);
  Document document = difference_document({.title = "difference of two predictions",
                                           .before = {before.header, before.model, before.strategy},
                                           .after = {after.header, after.model, after.strategy}});
  const Prediction& a = before.prediction;
  const Prediction& b = after.prediction;
  document.tables = {
      totals_change(a, b),
      change_by_name(change_table("overheads", "what no layer owns", {text_column("name", "part")}),
                     a.overheads, b.overheads, &predict::NamedBytes::bytes),
      change_by_name(change_table("layers", "layers, at the peak", {text_column("name", "layer")}),
                     a.layers, b.layers, &predict::LayerBytes::requested_bytes)};
  document.main_table = "totals";
  return document;
}

}  // namespace sbp::reports
