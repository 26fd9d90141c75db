#include "reports/json_writing.h"
#include "reports/render.h"

namespace sbp::reports {
namespace {

struct Setter {
  Json& row;
  const std::string& name;

  void operator()(const cell::Unknown& unknown) const { set_unknown(row, name, unknown.reason); }
  void operator()(const cell::Text& text) const { row[name] = text.value; }
  void operator()(const cell::Word& word) const { row[name] = word.value; }
  void operator()(const cell::Count& count) const { row[name] = count.value; }
  void operator()(const cell::Bytes& bytes) const { row[name] = bytes.value; }
  void operator()(const cell::Change& change) const { row[name] = change.bytes; }
  void operator()(const cell::MeanBytes& bytes) const { set_real(row, name, bytes.value); }
  void operator()(const cell::Number& number) const { set_real(row, name, number.value); }
  void operator()(const cell::Percent& percent) const { set_real(row, name, percent.ratio); }
  void operator()(const cell::Seconds& seconds) const { set_real(row, name, seconds.value); }
  void operator()(const cell::Flag& flag) const { row[name] = flag.value; }
};

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
      std::visit(Setter{row, column.name}, cells[c]);
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
