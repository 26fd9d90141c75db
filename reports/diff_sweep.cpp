#include <cmath>
#include <map>

#include "reports/diff.h"
#include "reports/diff_tables.h"
#include "reports/figures.h"
#include "reports/sections.h"
#include "reports/sweep_summary.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

// What groups of two sweeps are matched by: the values of all axes that either has.
using Key = std::map<std::string, std::string>;

Key key_of(const SweepSummary& summary, const SweepGroup& group) {
  Key key;
  for (std::size_t i = 0; i < summary.axes.size(); ++i) {
    if (group.values[i]) key[summary.axes[i]] = *group.values[i];
  }
  return key;
}

std::string words_of(const Key& key) {
  std::vector<std::string> parts;
  for (const auto& [axis, value] : key) parts.push_back(axis + "=" + value);
  return parts.empty() ? "all points" : join(parts, " ");
}

Cell mean_cell(const SweepGroup* group, const std::string& name) {
  if (group == nullptr) return cell::Unknown{"no such group"};
  for (const FigureEstimate& figure : group->figures) {
    if (figure.name == name) return figure_cell(name, figure.estimate.mean);
  }
  return cell::Unknown{"no finished point has this figure"};
}

struct Pair {
  const SweepGroup* before = nullptr;
  const SweepGroup* after = nullptr;
};

// By the groups of `before`, then those that only `after` has.
std::vector<std::pair<Key, Pair>> matched(const SweepSummary& before, const SweepSummary& after) {
  std::vector<std::pair<Key, Pair>> pairs;
  std::map<Key, std::size_t> places;
  for (const SweepGroup& group : before.groups) {
    Key key = key_of(before, group);
    places.emplace(key, pairs.size());
    pairs.push_back({std::move(key), {.before = &group}});
  }
  for (const SweepGroup& group : after.groups) {
    Key key = key_of(after, group);
    const auto place = places.find(key);
    if (place == places.end()) {
      pairs.push_back({std::move(key), {.after = &group}});
    } else {
      pairs[place->second].second.after = &group;
    }
  }
  return pairs;
}

bool is_same(const Cell& before, const Cell& after) {
  return plain(before) == plain(after);
}

// How large a change is beside what it was.
Cell size_of(const Cell& before, const Cell& after) {
  return cell::Number{std::abs(number_of(times_of(before, after)) - 1.0)};
}

DataTable groups_change(const SweepSummary& before, const SweepSummary& after) {
  DataTable table = change_table("groups", "groups over seeds: means that changed",
                                 {text_column("group"),
                                  text_column("figure"),
                                  {"size", "", Table::Align::right, DataTable::Readers::nobody}});
  table.ranked_by = "size";
  table.more = "more that changed";
  std::int64_t unchanged = 0, one_sided = 0;
  for (const auto& [key, pair] : matched(before, after)) {
    if (pair.before == nullptr || pair.after == nullptr) {
      ++one_sided;
      add_change(
          table,
          {cell::Text{words_of(key)},
           cell::Text{pair.before == nullptr ? "only after" : "only before"}, cell::Number{0.0}},
          cell::Unknown{"not on both sides"}, cell::Unknown{"not on both sides"});
      continue;
    }
    bool changed = false;
    for (const auto& column : figure_columns()) {
      const Cell a = mean_cell(pair.before, column.name);
      const Cell b = mean_cell(pair.after, column.name);
      if ((!is_known(a) && !is_known(b)) || is_same(a, b)) continue;
      changed = true;
      add_change(table, {cell::Text{words_of(key)}, cell::Word{column.name}, size_of(a, b)}, a, b);
    }
    if (!changed) ++unchanged;
  }
  if (unchanged > 0) {
    table.notes.push_back(concat(unchanged, unchanged == 1 ? " group" : " groups", " unchanged"));
  }
  if (one_sided > 0) {
    table.notes.push_back(
        concat(one_sided, one_sided == 1 ? " group is" : " groups are", " on one side only"));
  }
  if (table.rows.empty()) table.nothing = "none";
  return table;
}

// A sweep's own model, where it is no axis of it.
std::string model_of(const SweepReport& sweep) {
  for (const SweepAxis& axis : sweep.axes) {
    if (axis.name == "model") return {};
  }
  return name_of(configured(sweep.header, "model"));
}

}  // namespace

Document difference_of(const SweepReport& before, const SweepReport& after) {
  if (before.command != after.command) {
    throw Error(concat("cannot compare a sweep of sbp-", before.command, " with one of sbp-",
                       after.command, "; give two of one command"));
  }
  const std::string model = model_of(before);
  const std::string other = model_of(after);
  if (!model.empty() && !other.empty() && model != other) {
    throw Error(concat("cannot compare sweeps of different models: '", model, "' and '", other,
                       "'; give two of one model"));
  }
  Document document{.title = "difference of two sweeps"};
  document.facts = {{"command", "sbp-" + before.command},
                    {"before", before.about},
                    {"", point_counts_text(before)},
                    {"after", after.about},
                    {"", point_counts_text(after)}};
  for (const char* key : {"model", "strategy"}) {
    const std::string a = configured(before.header, key);
    const std::string b = configured(after.header, key);
    if (a != b) document.notes.push_back(differs_note(key, a, b));
  }
  for (std::string& note : settings_notes(before.header, after.header)) {
    document.notes.push_back(std::move(note));
  }
  document.tables = {groups_change(summary_of(before), summary_of(after))};
  document.main_table = "groups";
  return document;
}

}  // namespace sbp::reports
