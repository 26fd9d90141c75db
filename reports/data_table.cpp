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

// A text with its sign; what is shown as nothing has none.
std::string with_sign(double value, std::string text) {
  if (text.find_first_of("123456789") == std::string::npos) {
    return text.starts_with('-') ? text.substr(1) : text;
  }
  return value > 0 ? "+" + text : text;
}

struct Shown {
  std::string operator()(const cell::Unknown&) const { return "-"; }
  std::string operator()(const cell::Text& text) const { return text.value; }
  std::string operator()(const cell::Word& word) const { return spaced(word.value); }
  std::string operator()(const cell::Count& count) const { return count_text(count.value); }
  std::string operator()(const cell::Bytes& bytes) const { return bytes_text(bytes.value); }
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
  std::string operator()(const cell::BytesChange& change) const {
    return change_text(change.value);
  }
  std::string operator()(const cell::NumberChange& change) const {
    return with_sign(change.value, change.decimals < 0
                                       ? short_number_text(change.value)
                                       : number_text(change.value, change.decimals));
  }
  std::string operator()(const cell::PercentChange& change) const {
    return with_sign(change.value, number_text(100.0 * change.value, 2) + " points");
  }
  std::string operator()(const cell::SecondsChange& change) const {
    return (change.value < 0 ? "-" : "+") + seconds_text(std::abs(change.value));
  }
  std::string operator()(const cell::Times& times) const {
    return number_text(times.value, 3) + "x";
  }
};

struct Plain {
  PlainValue operator()(const cell::Unknown&) const { return {}; }
  PlainValue operator()(const cell::Percent& percent) const { return percent.ratio; }
  // Mostly all of them are equal, and the mean is a whole number again.
  PlainValue operator()(const cell::MeanBytes& bytes) const {
    constexpr double kExact = 9007199254740992.0;  // doubles below are whole numbers exactly
    const bool whole = std::abs(bytes.value) < kExact && std::trunc(bytes.value) == bytes.value;
    if (whole) return static_cast<std::int64_t>(bytes.value);
    return bytes.value;
  }
  template <typename Known>
  PlainValue operator()(const Known& known) const {
    return known.value;
  }
};

struct Subtract {
  Cell operator()(const cell::Bytes& a, const cell::Bytes& b) const {
    return cell::BytesChange{b.value - a.value};
  }
  Cell operator()(const cell::MeanBytes& a, const cell::MeanBytes& b) const {
    return cell::BytesChange{std::llround(b.value - a.value)};
  }
  Cell operator()(const cell::Count& a, const cell::Count& b) const {
    return cell::NumberChange{static_cast<double>(b.value - a.value), 0};
  }
  Cell operator()(const cell::Number& a, const cell::Number& b) const {
    return cell::NumberChange{b.value - a.value, std::max(a.decimals, b.decimals)};
  }
  Cell operator()(const cell::Percent& a, const cell::Percent& b) const {
    return cell::PercentChange{b.ratio - a.ratio};
  }
  Cell operator()(const cell::Seconds& a, const cell::Seconds& b) const {
    return cell::SecondsChange{b.value - a.value};
  }
  template <typename Before, typename After>
  Cell operator()(const Before&, const After&) const {
    return cell::Unknown{"not on both sides"};
  }
};

}  // namespace

std::string shown(const Cell& value) {
  return std::visit(Shown(), value);
}

PlainValue plain(const Cell& value) {
  return std::visit(Plain(), value);
}

bool is_known(const Cell& value) {
  return !std::holds_alternative<cell::Unknown>(value);
}

double number_of(const Cell& value) {
  const PlainValue known = plain(value);
  if (const auto* whole = std::get_if<std::int64_t>(&known)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&known)) return *real;
  return std::numeric_limits<double>::quiet_NaN();
}

Cell change_of(const Cell& before, const Cell& after) {
  return std::visit(Subtract(), before, after);
}

void DataTable::add(std::vector<Cell> cells) {
  assert(cells.size() == columns.size());
  rows.push_back(std::move(cells));
}

std::string heading_of(const DataTable::Column& column) {
  if (!column.heading.empty()) return column.heading;
  std::string heading = column.name;
  for (const std::string_view unit : {"_bytes", "_seconds"}) {
    if (heading.ends_with(unit)) heading.erase(heading.size() - unit.size());
  }
  std::replace(heading.begin(), heading.end(), '_', ' ');
  return heading;
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
