#include <doctest/doctest.h>

#include "cli/schema_text.h"

using namespace sbp;

TEST_CASE("names, keys, defaults and ranges are listed") {
  const std::vector<SpecSchema> schemas = {
      {.name = "net",
       .summary = "a network",
       .keys = {{.key = "depth",
                 .kind = ValueKind::integer,
                 .default_value = "12",
                 .help = "blocks",
                 .minimum = 1,
                 .maximum = 99},
                {.key = "keep",
                 .kind = ValueKind::real,
                 .default_value = "0.5",
                 .help = "kept",
                 .minimum = 0,
                 .maximum = 1,
                 .open_minimum = true},
                {.key = "lr", .kind = ValueKind::real, .default_value = "1", .help = "any"},
                {.key = "mask",
                 .kind = ValueKind::word,
                 .default_value = "grid",
                 .help = "how",
                 .words = {"grid", "random"}},
                {.key = "path", .kind = ValueKind::text, .default_value = "", .help = "where"}}},
      {.name = "bare", .summary = "no keys", .keys = {}}};
  CHECK(cli::schemas_text(schemas) ==
        "net  a network\n"
        "    depth=12   whole number from 1 to 99  blocks\n"
        "    keep=0.5   number above 0 to 1        kept\n"
        "    lr=1       number                     any\n"
        "    mask=grid  grid|random                how\n"
        "    path=      text                       where\n"
        "bare  no keys\n");
}
