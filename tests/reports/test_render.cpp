#include <doctest/doctest.h>

#include <limits>

#include "reports/render.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

DataTable sample_table() {
  DataTable table{.name = "layers", .title = "the layers"};
  table.columns = {text_column("name", "layer"),
                   {"saved_bytes"},
                   {"loss"},
                   {"top1", "top-1"},
                   {"step_seconds"},
                   {"never"},
                   {"secret", "", Table::Align::right, DataTable::Readers::programs}};
  table.add({cell::Text{"a"}, cell::Bytes{1536}, cell::Number{1.0 / 3.0}, cell::Percent{0.125},
             cell::Seconds{0.25}, cell::Unknown{}, cell::Count{1}});
  table.add({cell::Text{"b"}, cell::Bytes{9007199254740993}, cell::Unknown{"diverged"},
             cell::Percent{1}, cell::Seconds{0.5}, cell::Unknown{"no"}, cell::Count{2}});
  return table;
}

DataTable table_of(const std::string& text) {
  DataTable table{.name = "names", .title = text};
  table.columns = {text_column("name", text), {"count"}};
  table.add({cell::Text{text}, cell::Count{1}});
  return table;
}

}  // namespace

TEST_CASE("a table as text leaves out what only programs want and what nobody knows") {
  CHECK(table_text(sample_table()) ==
        "the layers\n"
        "  layer    saved    loss     top-1      step\n"
        "  a      1.5 KiB  0.3333   12.50 %  250.0 ms\n"
        "  b      8.0 PiB       -  100.00 %  500.0 ms\n");
}

TEST_CASE("a table as Markdown") {
  CHECK(table_markdown(sample_table()) ==
        "## the layers\n"
        "\n"
        "| layer | saved | loss | top-1 | step |\n"
        "| :--- | ---: | ---: | ---: | ---: |\n"
        "| a | 1.5 KiB | 0.3333 | 12.50 % | 250.0 ms |\n"
        "| b | 8.0 PiB | - | 100.00 % | 500.0 ms |\n");
}

TEST_CASE("Markdown in a report is text") {
  const std::string name = "<script>|`a`*b*\n_c_ my_name [x](y) & \\";
  CHECK(table_markdown(table_of(name)) ==
        "## &lt;script&gt;\\|\\`a\\`\\*b\\* \\_c\\_ my_name \\[x\\](y) &amp; \\\\\n"
        "\n"
        "| &lt;script&gt;\\|\\`a\\`\\*b\\* \\_c\\_ my_name \\[x\\](y) &amp; \\\\ | count |\n"
        "| :--- | ---: |\n"
        "| &lt;script&gt;\\|\\`a\\`\\*b\\* \\_c\\_ my_name \\[x\\](y) &amp; \\\\ | 1 |\n");
}

TEST_CASE("a table as CSV holds exact numbers, and nothing where nothing is known") {
  CHECK(table_csv(sample_table()) ==
        "name,saved_bytes,loss,top1,step_seconds,never,secret\r\n"
        "a,1536,0.3333333333333333,0.125,0.25,,1\r\n"
        "b,9007199254740993,,1,0.5,,2\r\n");
  DataTable endless = table_of("x");
  endless.rows[0][1] = cell::Number{std::numeric_limits<double>::infinity()};
  CHECK(table_csv(endless) == "name,count\r\nx,\r\n");
}

TEST_CASE("CSV quotes commas, quotes and line ends") {
  CHECK(table_csv(table_of("a,\"b\"\n")) == "name,count\r\n\"a,\"\"b\"\"\n\",1\r\n");
}

TEST_CASE("a table as JSON says why something is unknown") {
  CHECK(table_json(sample_table()) == R"({
  "tables": {
    "layers": {
      "title": "the layers",
      "columns": ["name", "saved_bytes", "loss", "top1", "step_seconds", "never", "secret"],
      "rows": [
        {"name": "a", "saved_bytes": 1536, "loss": 0.3333333333333333, "top1": 0.125, "step_seconds": 0.25, "never": null, "never_reason": "does not apply", "secret": 1},
        {"name": "b", "saved_bytes": 9007199254740993, "loss": null, "loss_reason": "diverged", "top1": 1.0, "step_seconds": 0.5, "never": null, "never_reason": "no", "secret": 2}
      ]
    }
  }
}
)");
}

TEST_CASE("people see the largest rows of a ranked table, programs all") {
  DataTable table{.name = "t", .title = "t"};
  table.columns = {text_column("name"), {"count"}};
  for (const int count : {2, 3, 1}) {
    table.add({cell::Text{std::to_string(count)}, cell::Count{count}});
  }
  table.add({cell::Text{"unknown"}, cell::Unknown{}});
  CHECK(table_text(table, {.top = 1}) ==
        "t\n  name     count\n  2            2\n  3            3\n"
        "  1            1\n  unknown      -\n");
  table.ranked_by = "count";
  CHECK(table_text(table, {.top = 2}) ==
        "t\n  name  count\n  3         3\n  2         2\n  and 2 more; --top 0 shows all\n");
  table.least_first = true;
  CHECK(table_text(table, {.top = 2}) ==
        "t\n  name  count\n  1         1\n  2         2\n  and 2 more; --top 0 shows all\n");
  CHECK(table_markdown(table, {.top = 3}).find("- and 1 more; --top 0 shows all\n") !=
        std::string::npos);
  CHECK(table_csv(table) == "name,count\r\n2,2\r\n3,3\r\n1,1\r\nunknown,\r\n");
}

TEST_CASE("a document as text and Markdown") {
  Document document{.title = "a run"};
  document.facts = {{"model", "vit"}, {"", "of 12 blocks"}};
  document.notes = {"batch differs: 4 | 8"};
  document.tables = {table_of("n"), DataTable{.name = "empty", .title = "not shown"},
                     DataTable{.name = "none", .title = "shown", .nothing = "nothing"}};
  document.tables.push_back(table_of("p"));
  document.tables.back().readers = DataTable::Readers::programs;
  document.warnings = {"one step only"};
  CHECK(document_text(document) ==
        "a run\n  model  vit\n         of 12 blocks\n  note: batch differs: 4 | 8\n"
        "\nn\n  n  count\n  n      1\n\nshown\n  nothing\n\nwarnings\n  one step only\n");
  CHECK(document_markdown(document) ==
        "# a run\n\n- **model**: vit\n  of 12 blocks\n\n- Note: batch differs: 4 \\| 8\n"
        "\n## n\n\n| n | count |\n| :--- | ---: |\n| n | 1 |\n\n## shown\n\nnothing\n"
        "\n## warnings\n\n- one step only\n");
}

TEST_CASE("a table that is not there is an error that lists those that are") {
  Document document{.title = "x"};
  document.tables = {sample_table()};
  CHECK(table_named(document, "layers", "'r.json'").name == "layers");
  CHECK_THROWS_WITH_AS(table_named(document, "layer", "'r.json'"),
                       "unknown table 'layer'; did you mean 'layers'? Known: layers (of 'r.json')",
                       UsageError);
}
