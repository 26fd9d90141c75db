// Tables of a report as data: filled once a kind, rendered as text, Markdown, CSV or JSON
// (render.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reports/table.h"

namespace sbp::reports {

// What a cell holds decides how people and programs are told it. Programs get numbers as they are.
namespace cell {

struct Unknown {
  std::string reason = "does not apply";  // never empty
};
struct Text {
  std::string value;
};
struct Word {  // of a fixed few, as JSON spells it; people see spaces for underscores
  std::string value;
};
struct Count {
  std::int64_t value = 0;
};
struct Bytes {
  std::int64_t value = 0;
};
struct MeanBytes {  // of several counts of bytes
  double value = 0.0;
};
struct Number {
  double value = 0.0;
  int decimals = 4;  // that people see; below 0: three significant digits
};
struct Percent {
  double ratio = 0.0;  // people see 100 times as much
};
struct Seconds {
  double value = 0.0;
};
struct Flag {
  bool value = false;
};
// What became of a figure; people see the sign.
struct BytesChange {
  std::int64_t value = 0;
};
struct NumberChange {
  double value = 0.0;
  int decimals = 4;
};
struct PercentChange {  // of a ratio, in percentage points
  double value = 0.0;
};
struct SecondsChange {
  double value = 0.0;
};
struct Times {  // after / before: "0.746x"
  double value = 0.0;
};

}  // namespace cell

using Cell =
    std::variant<cell::Unknown, cell::Text, cell::Word, cell::Count, cell::Bytes, cell::MeanBytes,
                 cell::Number, cell::Percent, cell::Seconds, cell::Flag, cell::BytesChange,
                 cell::NumberChange, cell::PercentChange, cell::SecondsChange, cell::Times>;

// For programs: the value alone; nothing for what is unknown.
using PlainValue = std::variant<std::monostate, std::string, std::int64_t, double, bool>;
PlainValue plain(const Cell& value);
// For people: "2.9 MiB", "12.30 %"; "-" for what is unknown.
std::string shown(const Cell& value);
bool is_known(const Cell& value);
// What cells are ranked by; NaN for texts and what is unknown.
double number_of(const Cell& value);

// The cell of a number that may be absent.
template <typename Known, typename Value>
Cell cell_or(const Value& value, std::string reason) {
  if (!value) return cell::Unknown{std::move(reason)};
  return Known{*value};
}

// after - before, in the unit of both; unknown where either is, or where they are no numbers.
Cell change_of(const Cell& before, const Cell& after);

struct DataTable {
  enum class Readers { all, people, programs, nobody };

  struct Column {
    std::string name{};     // for programs: snake_case, with its unit
    std::string heading{};  // for people; empty: made of the name, without its unit
    Table::Align align = Table::Align::right;
    Readers readers = Readers::all;
  };

  std::string name{};   // for --table and the keys of JSON
  std::string title{};  // for people
  std::vector<Column> columns{};
  std::vector<std::vector<Cell>> rows{};
  std::vector<std::string> notes{};  // sentences below it
  std::string nothing{};             // what people read where there are no rows
  std::string more = "more";         // "and 3 more; --top 0 shows all"
  // People see so many rows at most (TextOptions::top), those first that have most (or least) in
  // this column; empty: all rows.
  std::string ranked_by{};
  bool least_first = false;
  Readers readers = Readers::all;

  // REQUIRES a cell for each column.
  void add(std::vector<Cell> cells);
};

// What people call a column.
std::string heading_of(const DataTable::Column& column);
// A left-aligned column.
DataTable::Column text_column(std::string name, std::string heading = {});

// One report, or several compared, as people read it from top to bottom.
struct Document {
  std::string title{};
  std::vector<std::pair<std::string, std::string>> facts{};  // an empty label goes on with the last
  std::vector<std::string> notes{};
  std::vector<DataTable> tables{};
  std::string main_table{};  // what CSV is of where nobody says
  std::vector<std::string> warnings{};
};

// The table of that name. Throws UsageError that lists the names there are; `subject` is what has
// none of that name ("'run.json'").
const DataTable& table_named(const Document& document, const std::string& name,
                             const std::string& subject);

}  // namespace sbp::reports
