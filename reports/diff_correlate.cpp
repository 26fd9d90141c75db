#include <cmath>
#include <map>

#include "reports/diff.h"
#include "reports/diff_tables.h"
#include "reports/figures.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

// Things of two reports that have the same key, in the order of the first.
template <typename Thing, typename Key>
std::vector<std::pair<const Thing*, const Thing*>> matched(const std::vector<Thing>& before,
                                                           const std::vector<Thing>& after,
                                                           Key key) {
  std::vector<std::pair<const Thing*, const Thing*>> pairs;
  std::map<std::string, std::size_t> places;
  for (const Thing& thing : before) {
    places.emplace(key(thing), pairs.size());
    pairs.emplace_back(&thing, nullptr);
  }
  for (const Thing& thing : after) {
    const auto place = places.find(key(thing));
    if (place == places.end()) {
      pairs.emplace_back(nullptr, &thing);
    } else {
      pairs[place->second].second = &thing;
    }
  }
  return pairs;
}

using Pairs = std::vector<std::pair<const StrategyFidelity*, const StrategyFidelity*>>;

DataTable strategies_change(const CorrelateReport& before, const CorrelateReport& after,
                            const Pairs& pairs) {
  DataTable table =
      change_table("strategies", "strategies", {text_column("strategy"), text_column("figure")});
  const std::vector<DataTable::Column> columns = figure_columns();
  for (const auto& [a, b] : pairs) {
    if (a == nullptr || b == nullptr) {
      const Cell none = cell::Unknown{"not on both sides"};
      add_change(table,
                 {cell::Text{a != nullptr ? a->name : b->name},
                  cell::Text{a != nullptr ? "only before" : "only after"}},
                 none, none);
      continue;
    }
    std::vector<Cell> x, y;
    add_figures(x, figures_of(before, *a));
    add_figures(y, figures_of(after, *b));
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!is_known(x[i]) && !is_known(y[i])) continue;
      add_change(table, {cell::Text{a->name}, cell::Text{heading_of(columns[i])}}, x[i], y[i]);
    }
  }
  return table;
}

Cell number(const LayerFidelity* layer, std::optional<double> value) {
  if (layer == nullptr) return cell::Unknown{"no such layer"};
  return cell_or<cell::Number>(value, "nothing to compare");
}

DataTable table_of_layer_changes() {
  DataTable table{.name = "layers", .title = "layers, by the size of the cosine's change"};
  table.columns = {text_column("strategy"),
                   text_column("name", "layer"),
                   {"cosine_before", "cosine before"},
                   {"cosine_after", "after"},
                   {"cosine_change", "change"},
                   {"local_cosine_before", "local before"},
                   {"local_cosine_after", "after"},
                   {"saved_distinct_before_bytes", "saved before"},
                   {"saved_distinct_after_bytes", "after"},
                   {"size", "", Table::Align::right, DataTable::Readers::nobody}};
  table.ranked_by = "size";
  return table;
}

Cell saved(const LayerFidelity* layer) {
  if (layer == nullptr) return cell::Unknown{"no such layer"};
  return cell::Bytes{layer->saved_distinct_bytes};
}

DataTable layers_change(const Pairs& pairs) {
  DataTable table = table_of_layer_changes();
  for (const auto& [a, b] : pairs) {
    if (a == nullptr || b == nullptr) continue;
    for (const auto& [x, y] : matched(a->layers, b->layers, [](const auto& l) { return l.name; })) {
      const Cell old_cosine = number(x, x == nullptr ? std::nullopt : x->agreement.cosine);
      const Cell new_cosine = number(y, y == nullptr ? std::nullopt : y->agreement.cosine);
      const Cell change = change_of(old_cosine, new_cosine);
      table.add({cell::Text{a->name}, cell::Text{x != nullptr ? x->name : y->name}, old_cosine,
                 new_cosine, change, number(x, x == nullptr ? std::nullopt : x->local_cosine),
                 number(y, y == nullptr ? std::nullopt : y->local_cosine), saved(x), saved(y),
                 cell::Number{std::abs(number_of(change))}});
    }
  }
  return table;
}

}  // namespace

Document difference_of(const CorrelateReport& before, const CorrelateReport& after) {
  require_same_model("gradients", before.model, after.model);
  Document document{.title = "difference of two comparisons of gradients"};
  document.facts = {{"model", before.model.spec}};
  for (const auto& [side, report] : {std::pair("before", &before), std::pair("after", &after)}) {
    const Facts facts = state_facts(*report);
    document.facts.emplace_back(side, facts[0].second);
    document.facts.emplace_back("", facts[1].second);
  }
  if (before.model.spec != after.model.spec) {
    document.notes.push_back(differs_note("model", before.model.spec, after.model.spec));
  }
  for (std::string& note : settings_notes(before.header, after.header)) {
    document.notes.push_back(std::move(note));
  }
  const Pairs pairs = matched(before.strategies, after.strategies,
                              [](const auto& strategy) { return strategy.strategy.spec; });
  document.tables = {strategies_change(before, after, pairs), layers_change(pairs)};
  document.main_table = "strategies";
  return document;
}

}  // namespace sbp::reports
