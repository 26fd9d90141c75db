#include "reports/json_writing.h"
#include "reports/render.h"

namespace sbp::reports {
namespace {

void set_cell(Json& row, const std::string& name, const Cell& value) {
  if (const auto* unknown = std::get_if<cell::Unknown>(&value)) {
    return set_unknown(row, name, unknown->reason);
  }
  const PlainValue known = plain(value);
  if (const auto* real = std::get_if<double>(&known)) return set_real(row, name, *real);
  if (const auto* text = std::get_if<std::string>(&known)) {
    row[name] = *text;
  } else if (const auto* whole = std::get_if<std::int64_t>(&known)) {
    row[name] = *whole;
  } else {
    row[name] = std::get<bool>(known);
  }
}

Json json_of(const DataTable& table) {
  Json object = Json::object();
  object["title"] = table.title;
  Json columns = Json::array();
  for (const auto& column : table.columns) {
    if (is_for(column.readers, DataTable::Readers::programs)) columns.push_back(column.name);
  }
  object["columns"] = std::move(columns);
  Json rows = Json::array();
  for (const auto& cells : table.rows) {
    Json row = Json::object();
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const DataTable::Column& column = table.columns[c];
      if (!is_for(column.readers, DataTable::Readers::programs)) continue;
      set_cell(row, column.name, cells[c]);
    }
    rows.push_back(std::move(row));
  }
  object["rows"] = std::move(rows);
  if (!table.notes.empty()) object["notes"] = table.notes;
  return object;
}

Json facts_json(const std::vector<std::pair<std::string, std::string>>& facts) {
  Json object = Json::object();
  std::string last;
  for (const auto& [label, fact] : facts) {
    if (!label.empty()) {
      object[last = label] = fact;
    } else if (object.contains(last)) {
      object[last] = object[last].get<std::string>() + "; " + fact;
    }
  }
  return object;
}

Json tables_json(const std::vector<DataTable>& all) {
  Json tables = Json::object();
  for (const DataTable& table : all) {
    if (is_for(table.readers, DataTable::Readers::programs)) tables[table.name] = json_of(table);
  }
  return tables;
}

}  // namespace

std::string document_json(const Document& document) {
  Json object = Json::object();
  object["title"] = document.title;
  object["facts"] = facts_json(document.facts);
  object["notes"] = document.notes;
  object["warnings"] = document.warnings;
  object["tables"] = tables_json(document.tables);
  return reports::document(object);
}

std::string table_json(const DataTable& table) {
  Json object = Json::object();
  object["tables"] = tables_json({table});
  return document(object);
}

}  // namespace sbp::reports
