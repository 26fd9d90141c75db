#include <cctype>

#include "reports/format.h"
#include "reports/render.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

bool is_word(char sign) {
  return std::isalnum(static_cast<unsigned char>(sign)) != 0;
}

// What would begin markup stands behind a backslash or is an entity. An underscore inside of a
// word begins none, and most names have one.
std::string escaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char sign = text[i];
    const bool inside =
        i > 0 && i + 1 < text.size() && is_word(text[i - 1]) && is_word(text[i + 1]);
    if (sign == '<') {
      result += "&lt;";
    } else if (sign == '>') {
      result += "&gt;";
    } else if (sign == '&') {
      result += "&amp;";
    } else {
      const bool marks = std::string_view("\\`*_[]|~#$").find(sign) != std::string_view::npos;
      if (marks && !(sign == '_' && inside)) result += '\\';
      result += sign;
    }
  }
  return result;
}

// Control characters would become '?': a line break inside a cell is a space.
std::string one_line(std::string text) {
  for (char& sign : text) {
    if (sign == '\n' || sign == '\r' || sign == '\t') sign = ' ';
  }
  return escaped(printable(text));
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += concat(" ", cell, " |");
  return line + "\n";
}

std::string list_of(const std::vector<std::string>& sentences, std::string_view before = {}) {
  std::string text;
  for (const std::string& sentence : sentences) {
    text += concat("- ", before, one_line(sentence), "\n");
  }
  return text;
}

std::string facts_markdown(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string text;
  for (const auto& [label, fact] : facts) {
    text += label.empty() ? concat("  ", one_line(fact), "\n")
                          : concat("- **", one_line(label), "**: ", one_line(fact), "\n");
  }
  return text;
}

}  // namespace

std::string table_markdown(const DataTable& table, const TextOptions& options) {
  std::string text = concat("## ", one_line(table.title), "\n\n");
  const ShownRows rows = shown_rows(table, options.top);
  const std::vector<std::size_t> columns = shown_columns(table, rows);
  std::vector<std::string> headings, rules;
  for (const std::size_t c : columns) {
    headings.push_back(one_line(heading_of(table.columns[c])));
    rules.emplace_back(table.columns[c].align == Table::Align::right ? "---:" : ":---");
  }
  if (!columns.empty()) text += line_of(headings) + line_of(rules);
  for (const auto* row : rows.rows) {
    std::vector<std::string> cells;
    for (const std::size_t c : columns) cells.push_back(one_line(shown((*row)[c])));
    text += line_of(cells);
  }
  if (table.rows.empty() && !table.nothing.empty()) text += one_line(table.nothing) + "\n";
  std::vector<std::string> below = table.notes;
  if (rows.left_out > 0) below.insert(below.begin(), left_out_text(table, rows));
  return below.empty() ? text : text + "\n" + list_of(below);
}

std::string document_markdown(const Document& document, const TextOptions& options) {
  std::string text = concat("# ", one_line(document.title), "\n");
  if (!document.facts.empty()) text += "\n" + facts_markdown(document.facts);
  if (!document.notes.empty()) text += "\n" + list_of(document.notes, "Note: ");
  for (const DataTable& table : document.tables) {
    if (!is_for(table.readers, DataTable::Readers::people)) continue;
    if (is_empty(table)) continue;
    text += "\n" + table_markdown(table, options);
  }
  if (!document.warnings.empty()) text += "\n## warnings\n\n" + list_of(document.warnings);
  return text;
}

}  // namespace sbp::reports
