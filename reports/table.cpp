#include "reports/table.h"

#include <algorithm>
#include <cassert>

#include "reports/format.h"

namespace sbp::reports {

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() <= columns_.size());
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths(columns_.size(), 0);
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    bool used = false;
    std::size_t width = shown_width(columns_[c].heading);
    for (const auto& row : rows_) {
      used = used || !row[c].empty();
      width = std::max(width, shown_width(row[c]));
    }
    if (used) widths[c] = width;
  }
  return widths;
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<std::size_t>& widths, std::size_t indent) const {
  std::string shown(indent, ' ');
  bool first = true;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (widths[c] == 0) continue;
    if (!first) shown += "  ";
    first = false;
    const std::size_t spaces = widths[c] - shown_width(cells[c]);
    if (columns_[c].align == Align::right) shown.append(spaces, ' ');
    shown += cells[c];
    if (columns_[c].align == Align::left) shown.append(spaces, ' ');
  }
  shown.erase(shown.find_last_not_of(' ') + 1);
  return shown + "\n";
}

std::string Table::text(std::size_t indent) const {
  const std::vector<std::size_t> shown_widths = widths();
  std::vector<std::string> headings;
  for (const Column& column : columns_) headings.push_back(column.heading);
  const bool headed = std::any_of(headings.begin(), headings.end(),
                                  [](const std::string& heading) { return !heading.empty(); });
  std::string text;
  if (headed) text += line(headings, shown_widths, indent);
  for (const auto& row : rows_) text += line(row, shown_widths, indent);
  return text;
}

}  // namespace sbp::reports
