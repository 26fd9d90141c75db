#include "reports/layer_tables.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "reports/format.h"
#include "reports/sections.h"
#include "reports/table.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using predict::LayerBytes;
using profiler::LayerMemory;

Table table_of_layers(std::string first, std::string last) {
  using Align = Table::Align;
  return Table({{std::move(first)},
                {"kind"},
                {"saved logical", Align::right},
                {"distinct", Align::right},
                {"marginal", Align::right},
                {std::move(last), Align::right}});
}

void add(Table& table, const std::string& name, const std::string& kind,
         const profiler::SavedBytes& saved, std::int64_t peak_bytes) {
  table.add({name, kind, bytes_text(saved.logical_bytes), bytes_text(saved.distinct_bytes),
             bytes_text(saved.marginal_bytes), bytes_text(peak_bytes)});
}

bool is_below(const std::string& name, const std::string& parent) {
  return name.size() > parent.size() && name.starts_with(parent) && name[parent.size()] == '.';
}

// `add(unit, layer)`: what lies below a block is the block's. `owns(layer)`: any bytes at the peak.
template <typename Layer, typename Add, typename Owns>
std::vector<Layer> units_of(const std::vector<Layer>& layers, Add add, Owns owns) {
  std::vector<Layer> units;
  for (const Layer& layer : layers) {
    if (!units.empty() && units.back().kind == "block" && is_below(layer.name, units.back().name)) {
      add(units.back(), layer);
    } else if (layer.kind != "module" || owns(layer)) {
      units.push_back(layer);
    }
  }
  return units;
}

}  // namespace

std::vector<LayerMemory> block_units(const profiler::MemoryProfile& memory) {
  return units_of(
      memory.layers,
      [](LayerMemory& unit, const LayerMemory& layer) {
        unit.own_peak_bytes += layer.own_peak_bytes;
      },
      [](const LayerMemory& layer) { return layer.own_peak_bytes != 0; });
}

std::vector<LayerBytes> block_units(const predict::Prediction& prediction) {
  return units_of(
      prediction.layers,
      [](LayerBytes& unit, const LayerBytes& layer) {
        unit.requested_bytes += layer.requested_bytes;
        unit.block_bytes += layer.block_bytes;
        for (std::size_t i = 0; i < unit.categories.size(); ++i) {
          unit.categories[i] += layer.categories[i];
        }
      },
      [](const LayerBytes& layer) { return layer.block_bytes != 0; });
}

profiler::CategoryBytes requested_by_category(const predict::Prediction& prediction) {
  profiler::CategoryBytes categories{};
  for (const LayerBytes& layer : prediction.layers) {
    for (std::size_t i = 0; i < categories.size(); ++i) categories[i] += layer.categories[i];
  }
  return categories;
}

std::string blocks_text(const profiler::MemoryProfile& memory) {
  Table table = table_of_layers("block or layer", "at the peak");
  std::int64_t peak_bytes = 0;
  for (const LayerMemory& unit : block_units(memory)) {
    add(table, layer_text(unit.name), unit.kind, unit.saved, unit.own_peak_bytes);
    peak_bytes += unit.own_peak_bytes;
  }
  add(table, "total", "", memory.saved, peak_bytes);
  return table.text();
}

std::string layers_text(const profiler::MemoryProfile& memory, std::int64_t top) {
  std::vector<LayerMemory> shown = memory.layers;
  if (top > 0) {
    std::ranges::stable_sort(shown, std::greater{}, &LayerMemory::own_peak_bytes);
    shown.resize(std::min(shown.size(), static_cast<std::size_t>(top)));
  }
  Table table = table_of_layers("layer", "owned at the peak");
  for (const LayerMemory& layer : shown) {
    add(table, layer.name, layer.kind, layer.saved, layer.own_peak_bytes);
  }
  std::string text = table.text();
  const std::int64_t more = std::ssize(memory.layers) - std::ssize(shown);
  if (more > 0) {
    text += concat("  and ", more, more == 1 ? " layer" : " layers",
                   " more, each owning as little or less; --top 0 shows all\n");
  }
  return text;
}

}  // namespace sbp::reports
