#include <algorithm>
#include <cmath>

#include "reports/format.h"
#include "reports/render.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

std::size_t column_named(const DataTable& table, const std::string& name) {
  const auto found = std::ranges::find(table.columns, name, &DataTable::Column::name);
  return static_cast<std::size_t>(found - table.columns.begin());
}

}  // namespace

bool is_for(DataTable::Readers readers, DataTable::Readers reader) {
  return readers == DataTable::Readers::all || readers == reader;
}

ShownRows shown_rows(const DataTable& table, std::int64_t top) {
  ShownRows shown;
  for (const auto& row : table.rows) shown.rows.push_back(&row);
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(top, 0));
  if (table.ranked_by.empty() || most == 0 || shown.rows.size() <= most) return shown;
  const std::size_t column = column_named(table, table.ranked_by);
  // What is unknown comes last.
  const auto rank = [&](const std::vector<Cell>* row) {
    const double number = number_of((*row)[column]);
    if (std::isnan(number)) return -std::numeric_limits<double>::infinity();
    return table.least_first ? -number : number;
  };
  std::ranges::stable_sort(shown.rows, std::greater{}, rank);
  shown.left_out = shown.rows.size() - most;
  shown.rows.resize(most);
  return shown;
}

std::vector<std::size_t> shown_columns(const DataTable& table, const ShownRows& rows) {
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (!is_for(table.columns[c].readers, DataTable::Readers::people)) continue;
    const bool used = std::ranges::any_of(rows.rows, [&](const auto* row) {
      return is_known((*row)[c]) && !shown((*row)[c]).empty();
    });
    if (used) columns.push_back(c);
  }
  return columns;
}

std::string left_out_text(const DataTable& table, const ShownRows& rows) {
  if (rows.left_out == 0) return {};
  return concat("and ", rows.left_out, " ", table.more, "; --top 0 shows all");
}

bool is_empty(const DataTable& table) {
  return table.rows.empty() && table.nothing.empty() && table.notes.empty();
}

std::string table_text(const DataTable& table, const TextOptions& options) {
  std::string text = heading(printable(table.title), options.color);
  const ShownRows rows = shown_rows(table, options.top);
  const std::vector<std::size_t> columns = shown_columns(table, rows);
  std::vector<Table::Column> headings;
  for (const std::size_t c : columns) {
    headings.push_back({heading_of(table.columns[c]), table.columns[c].align});
  }
  Table lines(std::move(headings));
  for (const auto* row : rows.rows) {
    std::vector<std::string> cells;
    for (const std::size_t c : columns) cells.push_back(shown((*row)[c]));
    lines.add(std::move(cells));
  }
  if (lines.rows() > 0) text += lines.text();
  if (table.rows.empty())
    text += concat("  ", table.nothing.empty() ? "none" : table.nothing, "\n");
  if (rows.left_out > 0) text += concat("  ", left_out_text(table, rows), "\n");
  for (const std::string& note : table.notes) text += concat("  ", printable(note), "\n");
  return text;
}

std::string document_text(const Document& document, const TextOptions& options) {
  std::string text = heading(printable(document.title), options.color);
  Table facts({{""}, {""}});
  for (const auto& [label, fact] : document.facts) facts.add({label, fact});
  text += facts.text();
  for (const std::string& note : document.notes) text += concat("  note: ", printable(note), "\n");
  for (const DataTable& table : document.tables) {
    if (!is_for(table.readers, DataTable::Readers::people)) continue;
    if (is_empty(table)) continue;
    text += "\n" + table_text(table, options);
  }
  if (document.warnings.empty()) return text;
  text += "\n" + heading("warnings", options.color);
  for (const std::string& warning : document.warnings) {
    text += concat("  ", printable(warning), "\n");
  }
  return text;
}

}  // namespace sbp::reports
