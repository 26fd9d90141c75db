#include <algorithm>

#include "reports/diff.h"
#include "reports/diff_tables.h"
#include "reports/layer_tables.h"

namespace sbp::reports {
namespace {

using predict::Prediction;

DataTable totals_change(const PredictionReport& before, const PredictionReport& after) {
  DataTable table = figures_change_table("totals", "totals");
  const auto bytes = [&](const char* name, const char* words, std::int64_t x, std::int64_t y) {
    add_figure_change(table, name, words, cell::Bytes{x}, cell::Bytes{y});
  };
  const Prediction& a = before.prediction;
  const Prediction& b = after.prediction;
  bytes("peak_device_bytes", "peak on the card", a.peak_device_bytes, b.peak_device_bytes);
  bytes("peak_reserved_bytes", "reserved", a.peak_reserved_bytes, b.peak_reserved_bytes);
  bytes("peak_allocated_bytes", "allocated", a.peak_allocated_bytes, b.peak_allocated_bytes);
  bytes("peak_requested_bytes", "requested", a.peak_requested_bytes, b.peak_requested_bytes);
  bytes("saved_distinct_bytes", "saved distinct", before.saved.distinct_bytes,
        after.saved.distinct_bytes);
  bytes("saved_logical_bytes", "saved logical", before.saved.logical_bytes,
        after.saved.logical_bytes);
  bytes("saved_index_bytes", "indices and scales", before.saved.index_bytes,
        after.saved.index_bytes);
  if (a.largest_batch && b.largest_batch) {
    add_figure_change(table, "largest_batch", "largest batch", cell::Count{a.largest_batch->batch},
                      cell::Count{b.largest_batch->batch});
  }
  return table;
}

std::int64_t bytes_of(const std::vector<predict::NamedBytes>& parts, const std::string& name) {
  std::int64_t bytes = 0;
  for (const predict::NamedBytes& part : parts) {
    if (part.name == name) bytes += part.bytes;
  }
  return bytes;
}

// What only `after` has comes last; what is nothing on both sides is left out.
DataTable overheads_change(const Prediction& before, const Prediction& after) {
  DataTable table = change_table("overheads", "what no layer owns", {text_column("name", "part")});
  std::vector<std::string> names;
  for (const auto* parts : {&before.overheads, &after.overheads}) {
    for (const predict::NamedBytes& part : *parts) {
      if (std::ranges::find(names, part.name) == names.end()) names.push_back(part.name);
    }
  }
  for (const std::string& name : names) {
    const std::int64_t a = bytes_of(before.overheads, name);
    const std::int64_t b = bytes_of(after.overheads, name);
    if (a == 0 && b == 0) continue;
    add_change(table, {cell::Word{name}}, cell::Bytes{a}, cell::Bytes{b});
  }
  return table;
}

std::vector<profiler::LayerMemory> layer_memories(const Prediction& prediction) {
  std::vector<profiler::LayerMemory> layers;
  for (const predict::LayerBytes& layer : prediction.layers) {
    layers.push_back({.name = layer.name,
                      .kind = layer.kind,
                      .saved = layer.saved,
                      .own_peak_bytes = layer.requested_bytes,
                      .own_categories_at_peak = layer.categories});
  }
  return layers;
}

std::string fit_word(const Prediction& prediction) {
  if (!prediction.fits) return "not known";
  return prediction.fits->fits ? "yes" : "no";
}

}  // namespace

Document difference_of(const PredictionReport& before, const PredictionReport& after) {
  require_same_model("predictions", before.model, after.model);
  Document document = difference_document({.title = "difference of two predictions",
                                           .before = {before.header, before.model, before.strategy},
                                           .after = {after.header, after.model, after.strategy}});
  const Prediction& a = before.prediction;
  const Prediction& b = after.prediction;
  if (fit_word(a) != fit_word(b)) {
    document.notes.push_back(differs_note("fits", fit_word(a), fit_word(b)));
  }
  document.tables = {totals_change(before, after),
                     categories_change(requested_by_category(a), requested_by_category(b)),
                     overheads_change(a, b), layers_change(layer_memories(a), layer_memories(b))};
  document.main_table = "totals";
  return document;
}

}  // namespace sbp::reports
