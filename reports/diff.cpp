#include "reports/diff.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "reports/format.h"
#include "reports/sections.h"
#include "reports/table.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Align = Table::Align;
using profiler::LayerMemory;

std::string name_of(const std::string& spec) {
  return spec.substr(0, spec.find(':'));
}

std::vector<Table::Column> columns(std::string first) {
  return {{std::move(first)},
          {"before", Align::right},
          {"after", Align::right},
          {"change", Align::right},
          {"ratio", Align::right}};
}

std::string ratio_text(double before, double after) {
  return before > 0 && std::isfinite(after) ? number_text(after / before, 3) + "x" : "-";
}

void add_bytes(Table& table, std::string name, std::int64_t before, std::int64_t after) {
  table.add({std::move(name), bytes_text(before), bytes_text(after), change_text(after - before),
             ratio_text(static_cast<double>(before), static_cast<double>(after))});
}

void add_seconds(Table& table, std::string name, double before, double after) {
  const std::string change = seconds_text(std::abs(after - before));
  table.add({std::move(name), seconds_text(before), seconds_text(after),
             (after < before ? "-" : "+") + change, ratio_text(before, after)});
}

// ---- what makes the two reports differ by more than the strategy

std::string place_text(const profiler::PeakMoment& peak) {
  return concat(to_string(peak.phase), peak.layer.empty() ? "" : ", at ", peak.layer);
}

std::string settings_text(const ProfileReport& before, const ProfileReport& after) {
  std::string text;
  const auto note = [&text](std::string_view what, const std::string& a, const std::string& b) {
    if (a != b)
      text += concat("  note: ", what, " differs: ", printable(a), " | ", printable(b), "\n");
  };
  note("model", before.model.spec, after.model.spec);
  std::vector<std::string> keys;
  for (const Header* header : {&before.header, &after.header}) {
    for (const auto& [key, value] : header->configuration) {
      const bool is_told = key == "model" || key == "strategy";
      if (!is_told && std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  for (const std::string& key : keys) {
    note(key, configured(before.header, key), configured(after.header, key));
  }
  note("place of the peak", place_text(before.memory.peak), place_text(after.memory.peak));
  return text;
}

std::string beginning_text(const ProfileReport& before, const ProfileReport& after, bool color) {
  Table table({{""}, {""}});
  table.add({"model", before.model.spec});
  table.add({"before", before.strategy.spec});
  table.add({"", outcome_text(before.strategy)});
  table.add({"after", after.strategy.spec});
  table.add({"", outcome_text(after.strategy)});
  return heading("difference of two profiles", color) + table.text() + settings_text(before, after);
}

// ---- totals

std::string totals_text(const ProfileReport& before, const ProfileReport& after) {
  const profiler::MemoryProfile& a = before.memory;
  const profiler::MemoryProfile& b = after.memory;
  Table table(columns("total"));
  add_bytes(table, "peak", a.peak.bytes, b.peak.bytes);
  add_bytes(table, "transient at the peak", a.transient_peak_bytes, b.transient_peak_bytes);
  add_bytes(table, "saved distinct", a.saved.distinct_bytes, b.saved.distinct_bytes);
  add_bytes(table, "saved logical", a.saved.logical_bytes, b.saved.logical_bytes);
  add_bytes(table, "indices and scales", a.saved.index_bytes, b.saved.index_bytes);
  if (before.time && after.time) {
    add_seconds(table, "step time", before.time->step.median, after.time->step.median);
    add_seconds(table, "forward time", before.time->forward.median, after.time->forward.median);
    add_seconds(table, "backward time", before.time->backward.median, after.time->backward.median);
  }
  return table.text();
}

std::string categories_diff(const profiler::CategoryBytes& before,
                            const profiler::CategoryBytes& after) {
  Table table(columns("category"));
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 0 && after[i] == 0) continue;
    std::string name(to_string(static_cast<profiler::Category>(i)));
    std::replace(name.begin(), name.end(), '_', ' ');
    add_bytes(table, std::move(name), before[i], after[i]);
  }
  return table.rows() == 0 ? "  nothing\n" : table.text();
}

std::string phases_diff(const std::vector<profiler::PhaseMemory>& before,
                        const std::vector<profiler::PhaseMemory>& after) {
  Table table(columns("phase"));
  const auto peak_in = [](const std::vector<profiler::PhaseMemory>& phases, Phase wanted) {
    std::int64_t peak = 0;
    for (const auto& phase : phases) {
      if (phase.phase == wanted) peak = std::max(peak, phase.peak_bytes);
    }
    return peak;
  };
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    const std::int64_t a = peak_in(before, phase);
    const std::int64_t b = peak_in(after, phase);
    if (a != 0 || b != 0) add_bytes(table, std::string(to_string(phase)), a, b);
  }
  return table.rows() == 0 ? std::string() : table.text();
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

std::string layers_diff(std::vector<LayerChange> changes, std::int64_t top) {
  const auto unchanged = std::erase_if(changes, [](const LayerChange& change) {
    return change.size() == 0 && side_text(change.pair).empty();
  });
  std::ranges::stable_sort(changes, std::greater{}, &LayerChange::size);
  const auto shown =
      top <= 0 ? changes.size() : std::min(changes.size(), static_cast<std::size_t>(top));
  Table table({{"layer"},
               {"saved before", Align::right},
               {"after", Align::right},
               {"change", Align::right},
               {"owned at the peak before", Align::right},
               {"after", Align::right},
               {"change", Align::right},
               {""}});
  for (std::size_t i = 0; i < shown; ++i) {
    const LayerChange& change = changes[i];
    const LayerPair& pair = change.pair;
    table.add({pair.before != nullptr ? pair.before->name : pair.after->name,
               bytes_text(distinct(pair.before)), bytes_text(distinct(pair.after)),
               change_text(change.saved()), bytes_text(change.owned_before),
               bytes_text(change.owned_after), change_text(change.owned()), side_text(pair)});
  }
  std::string text = shown == 0 ? std::string() : table.text();
  if (shown < changes.size()) {
    text += concat("  and ", changes.size() - shown, " more that changed; --top 0 shows all\n");
  }
  if (unchanged > 0)
    text += concat("  ", unchanged, unchanged == 1 ? " layer" : " layers", " unchanged\n");
  return text.empty() ? "  none\n" : text;
}

void require_same_model(const ProfileReport& before, const ProfileReport& after) {
  const std::string a = name_of(before.model.spec);
  const std::string b = name_of(after.model.spec);
  if (a != b) {
    throw Error(concat("cannot compare profiles of different models: '", a, "' and '", b,
                       "'; give two of one model"));
  }
}

}  // namespace

std::string diff_text(const ProfileReport& before, const ProfileReport& after,
                      const TextOptions& options) {
  require_same_model(before, after);
  const bool color = options.color;
  std::string text = beginning_text(before, after, color);
  text += "\n" + heading("totals", color) + totals_text(before, after);
  text += "\n" + heading("alive at the peak", color) +
          categories_diff(before.memory.categories_at_peak, after.memory.categories_at_peak);
  const std::string phases = phases_diff(before.memory.phases, after.memory.phases);
  if (!phases.empty()) text += "\n" + heading("peaks of the phases", color) + phases;
  text += "\n" +
          heading(
              "layers, by the size of the change (saved: distinct bytes; "
              "a parent includes its children)",
              color) +
          layers_diff(changes_of(before.memory.layers, after.memory.layers), options.top);
  return text;
}

}  // namespace sbp::reports
