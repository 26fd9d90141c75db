#include <cmath>

#include "reports/render.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::reports {
namespace {

struct Field {
  std::string operator()(const std::monostate&) const { return {}; }
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(std::int64_t whole) const { return std::to_string(whole); }
  std::string operator()(double real) const {
    return std::isfinite(real) ? exact_text(real) : std::string();
  }
  std::string operator()(bool flag) const { return flag ? "true" : "false"; }
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
    for (const std::size_t c : columns) fields.push_back(std::visit(Field(), plain(row[c])));
    text += line_of(fields);
  }
  return text;
}

}  // namespace sbp::reports
