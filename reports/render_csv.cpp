#include <cmath>

#include "reports/render.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::reports {
namespace {

std::string number(double value) {
  return std::isfinite(value) ? exact_text(value) : std::string();
}

struct Field {
  std::string operator()(const cell::Unknown&) const { return {}; }
  std::string operator()(const cell::Text& text) const { return text.value; }
  std::string operator()(const cell::Word& word) const { return word.value; }
  std::string operator()(const cell::Count& count) const { return std::to_string(count.value); }
  std::string operator()(const cell::Bytes& bytes) const { return std::to_string(bytes.value); }
  std::string operator()(const cell::Change& change) const { return std::to_string(change.bytes); }
  std::string operator()(const cell::MeanBytes& bytes) const { return number(bytes.value); }
  std::string operator()(const cell::Number& real) const { return number(real.value); }
  std::string operator()(const cell::Percent& percent) const { return number(percent.ratio); }
  std::string operator()(const cell::Seconds& seconds) const { return number(seconds.value); }
  std::string operator()(const cell::Flag& flag) const { return flag.value ? "true" : "false"; }
};

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string result = "\"";
  for (const char sign : field) {
    if (sign == '"') result += '"';
    result += sign;
  }
  return result + '"';
}

std::string line_of(const std::vector<std::string>& fields) {
  std::vector<std::string> parts;
  for (const std::string& field : fields) parts.push_back(quoted(field));
  return join(parts, ",") + "\r\n";
}

}  // namespace

std::string table_csv(const DataTable& table) {
  std::vector<std::size_t> columns;
  std::vector<std::string> names;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (!is_for(table.columns[c].readers, DataTable::Readers::programs)) continue;
    columns.push_back(c);
    names.push_back(table.columns[c].name);
  }
  std::string text = line_of(names);
  for (const auto& row : table.rows) {
    std::vector<std::string> fields;
    for (const std::size_t c : columns) fields.push_back(std::visit(Field(), row[c]));
    text += line_of(fields);
  }
  return text;
}

}  // namespace sbp::reports
