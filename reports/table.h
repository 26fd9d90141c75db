// Aligned columns of text.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sbp::reports {

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string heading;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Missing cells are empty; a cell beyond the last column is a programming error (assert).
  void add(std::vector<std::string> cells);
  std::size_t rows() const { return rows_.size(); }

  // One line a row below the headings (left out when all are empty), each after `indent` spaces,
  // two spaces between columns, none at the end of a line. A column whose cells are all empty is
  // left out. Cells are made printable.
  std::string text(std::size_t indent = 2) const;

 private:
  std::vector<std::size_t> widths() const;  // 0: the column is left out
  std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                   std::size_t indent) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sbp::reports
