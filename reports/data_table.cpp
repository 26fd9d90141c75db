#include "reports/data_table.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "reports/format.h"
#include "reports/sections.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

struct Shown {
  std::string operator()(const cell::Unknown&) const { return "-"; }
  std::string operator()(const cell::Text& text) const { return text.value; }
  std::string operator()(const cell::Word& word) const { return spaced(word.value); }
  std::string operator()(const cell::Count& count) const { return count_text(count.value); }
  std::string operator()(const cell::Bytes& bytes) const { return bytes_text(bytes.value); }
  std::string operator()(const cell::Change& change) const { return change_text(change.bytes); }
  std::string operator()(const cell::MeanBytes& bytes) const {
    // Whatever is no number of bytes would be undefined as a whole number.
    if (!(std::abs(bytes.value) < 9e18)) return "not finite";
    return bytes_text(std::llround(bytes.value));
  }
  std::string operator()(const cell::Number& number) const {
    return number.decimals < 0 ? short_number_text(number.value)
                               : number_text(number.value, number.decimals);
  }
  std::string operator()(const cell::Percent& percent) const { return percent_text(percent.ratio); }
  std::string operator()(const cell::Seconds& seconds) const { return seconds_text(seconds.value); }
  std::string operator()(const cell::Flag& flag) const { return flag.value ? "yes" : "no"; }
};

struct Numbered {
  double operator()(const cell::Unknown&) const { return std::numeric_limits<double>::quiet_NaN(); }
  double operator()(const cell::Text&) const { return std::numeric_limits<double>::quiet_NaN(); }
  double operator()(const cell::Word&) const { return std::numeric_limits<double>::quiet_NaN(); }
  double operator()(const cell::Count& count) const { return static_cast<double>(count.value); }
  double operator()(const cell::Bytes& bytes) const { return static_cast<double>(bytes.value); }
  double operator()(const cell::Change& change) const { return static_cast<double>(change.bytes); }
  double operator()(const cell::MeanBytes& bytes) const { return bytes.value; }
  double operator()(const cell::Number& number) const { return number.value; }
  double operator()(const cell::Percent& percent) const { return percent.ratio; }
  double operator()(const cell::Seconds& seconds) const { return seconds.value; }
  double operator()(const cell::Flag& flag) const { return flag.value ? 1.0 : 0.0; }
};

}  // namespace

std::string shown(const Cell& value) {
  return std::visit(Shown(), value);
}

bool is_known(const Cell& value) {
  return !std::holds_alternative<cell::Unknown>(value);
}

double number_of(const Cell& value) {
  return std::visit(Numbered(), value);
}

void DataTable::add(std::vector<Cell> cells) {
  assert(cells.size() == columns.size());
  rows.push_back(std::move(cells));
}

DataTable::Column text_column(std::string name, std::string heading) {
  return {std::move(name), std::move(heading), Table::Align::left};
}

const DataTable& table_named(const Document& document, const std::string& name,
                             const std::string& subject) {
  std::vector<std::string> names;
  for (const DataTable& table : document.tables) {
    if (table.name == name) return table;
    names.push_back(table.name);
  }
  throw UsageError(concat(unknown_word("table", name, names), " (of ", subject, ")"));
}

}  // namespace sbp::reports
