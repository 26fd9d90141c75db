#include <doctest/doctest.h>

#include "reports/table.h"

using sbp::reports::Table;
using Align = Table::Align;

TEST_CASE("columns are aligned, and no line ends in a space") {
  Table table({{"name"}, {"bytes", Align::right}, {"note"}});
  table.add({"a", "1", ""});
  table.add({"long name", "12345678", "x"});
  CHECK(table.text() ==
        "  name          bytes  note\n"
        "  a                 1\n"
        "  long name  12345678  x\n");
  CHECK(table.rows() == 2);
}

TEST_CASE("a table without headings has none") {
  Table table({{""}, {""}});
  table.add({"peak", "3"});
  CHECK(table.text(0) == "peak  3\n");
}

TEST_CASE("an empty column is left out, missing cells are empty") {
  Table table({{"a"}, {"never"}, {"b"}});
  table.add({"1", "", "2"});
  table.add({"3"});
  CHECK(table.text(0) == "a  b\n1  2\n3\n");
}

TEST_CASE("accents count as one character") {
  Table table({{"x"}, {"y"}});
  table.add({"größe", "1"});
  table.add({"sizes", "2"});
  CHECK(table.text(0) == "x      y\ngröße  1\nsizes  2\n");
}

TEST_CASE("cells cannot carry control characters") {
  Table table({{"x"}});
  table.add({"a\nb\x1b[2J"});
  CHECK(table.text(0) == "x\na?b?[2J\n");
}
