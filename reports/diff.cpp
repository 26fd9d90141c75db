#include "reports/diff.h"

#include <algorithm>
#include <cmath>

#include "reports/diff_tables.h"
#include "reports/render.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Align = Table::Align;

struct Difference {
  const NamedReport& before;
  const NamedReport& after;

  template <typename Report>
  Document operator()(const Report& a, const Report& b) const {
    return difference_of(a, b);
  }
  template <typename Report, typename Other>
  Document operator()(const Report&, const Other&) const {
    throw Error(concat("cannot compare '", before.name, "' of kind '", kind_of(before.report),
                       "' with '", after.name, "' of kind '", kind_of(after.report),
                       "'; give two of one kind"));
  }
};

}  // namespace

std::string name_of(const std::string& spec) {
  return spec.substr(0, spec.find(':'));
}

Cell times_of(const Cell& before, const Cell& after) {
  const double a = number_of(before);
  const double b = number_of(after);
  if (a > 0 && std::isfinite(b)) return cell::Times{b / a};
  return cell::Unknown{is_known(before) && is_known(after) ? "nothing to divide by"
                                                           : "not on both sides"};
}

DataTable change_table(std::string name, std::string title, std::vector<DataTable::Column> labels) {
  DataTable table{.name = std::move(name), .title = std::move(title)};
  table.columns = std::move(labels);
  table.columns.insert(table.columns.end(), {{"before"}, {"after"}, {"change"}, {"ratio"}});
  return table;
}

void add_change(DataTable& table, std::vector<Cell> labels, const Cell& before, const Cell& after) {
  labels.insert(labels.end(), {before, after, change_of(before, after), times_of(before, after)});
  table.add(std::move(labels));
}

DataTable figures_change_table(std::string name, std::string title) {
  return change_table(std::move(name), std::move(title),
                      {{"figure", "", Align::left, DataTable::Readers::programs},
                       {"words", "total", Align::left, DataTable::Readers::people}});
}

void add_figure_change(DataTable& table, std::string name, std::string words, const Cell& before,
                       const Cell& after) {
  add_change(table, {cell::Text{std::move(name)}, cell::Text{std::move(words)}}, before, after);
}

DataTable categories_change(const profiler::CategoryBytes& before,
                            const profiler::CategoryBytes& after) {
  DataTable table = change_table("categories", "alive at the peak", {text_column("category")});
  table.nothing = "nothing";
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 0 && after[i] == 0) continue;
    add_change(table, {cell::Word{std::string(to_string(static_cast<profiler::Category>(i)))}},
               cell::Bytes{before[i]}, cell::Bytes{after[i]});
  }
  return table;
}

std::string differs_note(std::string_view what, const std::string& before,
                         const std::string& after) {
  return concat(what, " differs: ", before, " | ", after);
}

std::vector<std::string> settings_notes(const Header& before, const Header& after) {
  std::vector<std::string> notes;
  const auto note = [&](std::string_view what, const std::string& a, const std::string& b) {
    if (a != b) notes.push_back(differs_note(what, a, b));
  };
  std::vector<std::string> keys;
  for (const Header* header : {&before, &after}) {
    for (const auto& [key, value] : header->configuration) {
      const bool is_told = key == "model" || key == "strategy" || key == "strategies";
      if (!is_told && std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  for (const std::string& key : keys) note(key, configured(before, key), configured(after, key));
  for (const auto& [what, member] : kVersions) {
    note(what, before.environment.*member, after.environment.*member);
  }
  return notes;
}

Document difference_document(const RunPair& pair) {
  const auto& [title, before, after] = pair;
  Document document{.title = title};
  document.facts = {{"model", before.model.spec},
                    {"before", before.strategy.spec},
                    {"", outcome_text(before.strategy)},
                    {"after", after.strategy.spec},
                    {"", outcome_text(after.strategy)}};
  if (before.model.spec != after.model.spec) {
    document.notes.push_back(differs_note("model", before.model.spec, after.model.spec));
  }
  for (std::string& note : settings_notes(before.header, after.header)) {
    document.notes.push_back(std::move(note));
  }
  return document;
}

void require_same_model(std::string_view what, const ModelFacts& before, const ModelFacts& after) {
  const std::string a = name_of(before.spec);
  const std::string b = name_of(after.spec);
  if (a != b) {
    throw Error(concat("cannot compare ", what, " of different models: '", a, "' and '", b,
                       "'; give two of one model"));
  }
}

Document difference_of(const NamedReport& before, const NamedReport& after) {
  return std::visit(Difference{before, after}, before.report, after.report);
}

std::string diff_text(const ProfileReport& before, const ProfileReport& after,
                      const TextOptions& options) {
  return document_text(difference_of(before, after), options);
}

}  // namespace sbp::reports
