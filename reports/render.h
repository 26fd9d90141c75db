// A document as text, Markdown, CSV or JSON.
#pragma once

#include <string>

#include "reports/data_table.h"
#include "reports/text.h"

namespace sbp::reports {

// Text and Markdown leave out columns and rows that only programs want, columns in which nothing
// is known, and rows beyond `options.top` where a table is ranked; a line says how many.

std::string document_text(const Document& document, const TextOptions& options = {});
// One table alone, under its title.
std::string table_text(const DataTable& table, const TextOptions& options = {});

// GitHub's tables; whatever stands in a report is text there, never markup.
std::string document_markdown(const Document& document, const TextOptions& options = {});
std::string table_markdown(const DataTable& table, const TextOptions& options = {});

// RFC 4180: a line of column names, then a line a row, each ended with CR LF. Bytes are whole
// numbers, others are written so that they read back as they were; what is unknown is empty.
std::string table_csv(const DataTable& table);

// {"title", "facts", "tables": {NAME: {"title", "columns": [...], "rows": [{COLUMN: value}]}}};
// what is unknown is null, with the reason beside it as COLUMN_reason. All rows of all tables.
std::string document_json(const Document& document);
std::string table_json(const DataTable& table);

// ---- what renderers share

bool is_for(DataTable::Readers readers, DataTable::Readers reader);
// Of the rows, in the order in which people see them.
struct ShownRows {
  std::vector<const std::vector<Cell>*> rows;
  std::size_t left_out = 0;
};
ShownRows shown_rows(const DataTable& table, std::int64_t top);
// Which columns people see.
std::vector<std::size_t> shown_columns(const DataTable& table, const ShownRows& rows);
// "and 12 more; --top 0 shows all", or nothing.
std::string left_out_text(const DataTable& table, const ShownRows& rows);
// Nothing that people would see.
bool is_empty(const DataTable& table);

}  // namespace sbp::reports
