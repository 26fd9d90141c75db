#include <algorithm>
#include <cstdlib>
#include <functional>
#include <unordered_map>

#include "reports/diff.h"
#include "reports/diff_tables.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using profiler::LayerMemory;

std::string place_text(const profiler::PeakMoment& peak) {
  return concat(to_string(peak.phase), peak.layer.empty() ? "" : ", at ", peak.layer);
}

// ---- totals

DataTable totals_change(const ProfileReport& before, const ProfileReport& after) {
  const profiler::MemoryProfile& a = before.memory;
  const profiler::MemoryProfile& b = after.memory;
  DataTable table = figures_change_table("totals", "totals");
  const auto bytes = [&](const char* name, const char* words, std::int64_t x, std::int64_t y) {
    add_figure_change(table, name, words, cell::Bytes{x}, cell::Bytes{y});
  };
  bytes("peak_bytes", "peak", a.peak.bytes, b.peak.bytes);
  bytes("transient_peak_bytes", "transient at the peak", a.transient_peak_bytes,
        b.transient_peak_bytes);
  bytes("saved_distinct_bytes", "saved distinct", a.saved.distinct_bytes, b.saved.distinct_bytes);
  bytes("saved_logical_bytes", "saved logical", a.saved.logical_bytes, b.saved.logical_bytes);
  bytes("saved_index_bytes", "indices and scales", a.saved.index_bytes, b.saved.index_bytes);
  if (!before.time || !after.time) return table;
  const auto time = [&](const char* name, const char* words, TimeSummary StepTimes::*part) {
    add_figure_change(table, name, words, cell::Seconds{((*before.time).*part).median},
                      cell::Seconds{((*after.time).*part).median});
  };
  time("step_seconds", "step time", &StepTimes::step);
  time("forward_seconds", "forward time", &StepTimes::forward);
  time("backward_seconds", "backward time", &StepTimes::backward);
  return table;
}

// ---- phases

DataTable phases_change(const std::vector<profiler::PhaseMemory>& before,
                        const std::vector<profiler::PhaseMemory>& after) {
  using profiler::PhaseMemory;
  constexpr std::pair<const char*, std::int64_t PhaseMemory::*> kFigures[] = {
      {"peak_bytes", &PhaseMemory::peak_bytes},
      {"live_at_end_bytes", &PhaseMemory::live_at_end_bytes},
      {"allocated_bytes", &PhaseMemory::allocated_bytes}};
  const auto find = [](const std::vector<PhaseMemory>& phases, Phase wanted) {
    const auto found = std::ranges::find(phases, wanted, &PhaseMemory::phase);
    return found == phases.end() ? PhaseMemory{} : *found;
  };
  DataTable table =
      change_table("phases", "phases: peak, what is left at the end, allocated in all",
                   {text_column("phase"),
                    {"figure", "", Table::Align::left, DataTable::Readers::programs},
                    {"words", "figure", Table::Align::left, DataTable::Readers::people}});
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    const PhaseMemory a = find(before, phase);
    const PhaseMemory b = find(after, phase);
    constexpr const char* kWords[] = {"peak", "left at its end", "allocated"};
    for (std::size_t f = 0; f < 3; ++f) {
      const auto [name, member] = kFigures[f];
      if (a.*member == 0 && b.*member == 0) continue;
      add_change(
          table,
          {cell::Text{std::string(to_string(phase))}, cell::Text{name}, cell::Text{kWords[f]}},
          cell::Bytes{a.*member}, cell::Bytes{b.*member});
    }
  }
  return table;
}

// ---- layers

struct LayerPair {
  const LayerMemory* before = nullptr;
  const LayerMemory* after = nullptr;
};

// What each layer and all inside it own at the peak, by name.
using OwnedBytes = std::unordered_map<std::string, std::int64_t>;

OwnedBytes owned_with_children(const std::vector<LayerMemory>& layers) {
  OwnedBytes owned;
  for (const LayerMemory& layer : layers) {
    for (std::size_t end = 0; end != std::string::npos;) {
      end = layer.name.find('.', end + 1);
      owned[layer.name.substr(0, end)] += layer.own_peak_bytes;
    }
  }
  return owned;
}

// In the order of `before`; layers that only `after` has come last.
std::vector<LayerPair> align(const std::vector<LayerMemory>& before,
                             const std::vector<LayerMemory>& after) {
  std::vector<LayerPair> pairs;
  std::unordered_map<std::string, std::size_t> places;
  for (const LayerMemory& layer : before) {
    places.emplace(layer.name, pairs.size());
    pairs.push_back({.before = &layer});
  }
  for (const LayerMemory& layer : after) {
    const auto place = places.find(layer.name);
    if (place == places.end()) {
      pairs.push_back({.after = &layer});
    } else {
      pairs[place->second].after = &layer;
    }
  }
  return pairs;
}

std::int64_t distinct(const LayerMemory* layer) {
  return layer == nullptr ? 0 : layer->saved.distinct_bytes;
}

// One line of the table.
struct LayerChange {
  LayerPair pair;
  std::int64_t owned_before = 0;
  std::int64_t owned_after = 0;

  std::int64_t saved() const { return distinct(pair.after) - distinct(pair.before); }
  std::int64_t owned() const { return owned_after - owned_before; }
  std::int64_t size() const { return std::max(std::abs(saved()), std::abs(owned())); }
};

std::vector<LayerChange> changes_of(const std::vector<LayerMemory>& before,
                                    const std::vector<LayerMemory>& after) {
  const OwnedBytes owned_before = owned_with_children(before);
  const OwnedBytes owned_after = owned_with_children(after);
  const auto owned = [](const OwnedBytes& all, const LayerMemory* layer) {
    return layer == nullptr ? 0 : all.at(layer->name);
  };
  std::vector<LayerChange> changes;
  for (const LayerPair& pair : align(before, after)) {
    changes.push_back({pair, owned(owned_before, pair.before), owned(owned_after, pair.after)});
  }
  return changes;
}

std::string side_text(const LayerPair& pair) {
  if (pair.before == nullptr) return "only after";
  return pair.after == nullptr ? "only before" : "";
}

DataTable table_of_layer_changes() {
  DataTable table{.name = "layers",
                  .title =
                      "layers, by the size of the change (saved: distinct bytes; "
                      "a parent includes its children)"};
  table.columns = {text_column("name", "layer"),
                   {"saved_before_bytes", "saved before"},
                   {"saved_after_bytes", "after"},
                   {"saved_change_bytes", "change"},
                   {"owned_before_bytes", "owned at the peak before"},
                   {"owned_after_bytes", "after"},
                   {"owned_change_bytes", "change"},
                   {"largest_change_bytes", "", Table::Align::right, DataTable::Readers::programs},
                   text_column("side", " ")};
  table.ranked_by = "largest_change_bytes";
  table.more = "more that changed";
  return table;
}

}  // namespace

DataTable layers_change(const std::vector<LayerMemory>& before,
                        const std::vector<LayerMemory>& after) {
  std::vector<LayerChange> changes = changes_of(before, after);
  const auto unchanged = std::erase_if(changes, [](const LayerChange& change) {
    return change.size() == 0 && side_text(change.pair).empty();
  });
  std::ranges::stable_sort(changes, std::greater{}, &LayerChange::size);
  DataTable table = table_of_layer_changes();
  for (const LayerChange& change : changes) {
    const LayerPair& pair = change.pair;
    table.add({cell::Text{pair.before != nullptr ? pair.before->name : pair.after->name},
               cell::Bytes{distinct(pair.before)}, cell::Bytes{distinct(pair.after)},
               cell::BytesChange{change.saved()}, cell::Bytes{change.owned_before},
               cell::Bytes{change.owned_after}, cell::BytesChange{change.owned()},
               cell::Bytes{change.size()}, cell::Text{side_text(pair)}});
  }
  if (unchanged > 0) {
    table.notes = {concat(unchanged, unchanged == 1 ? " layer" : " layers", " unchanged")};
  } else if (changes.empty()) {
    table.nothing = "none";
  }
  return table;
}

Document difference_of(const ProfileReport& before, const ProfileReport& after) {
  require_same_model("profiles", before.model, after.model);
  Document document = difference_document({.title = "difference of two profiles",
                                           .before = {before.header, before.model, before.strategy},
                                           .after = {after.header, after.model, after.strategy}});
  const std::string a = place_text(before.memory.peak);
  const std::string b = place_text(after.memory.peak);
  if (a != b) document.notes.push_back(differs_note("place of the peak", a, b));
  document.tables = {
      totals_change(before, after),
      categories_change(before.memory.categories_at_peak, after.memory.categories_at_peak),
      phases_change(before.memory.phases, after.memory.phases),
      layers_change(before.memory.layers, after.memory.layers)};
  document.main_table = "layers";
  return document;
}

}  // namespace sbp::reports
