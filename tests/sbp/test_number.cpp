#include <doctest/doctest.h>

#include "sbp/base/number.h"

using namespace sbp;

TEST_CASE("sizes in words") {
  CHECK(parse_size("12 B") == 12);
  CHECK(parse_size("350 MiB") == 350 * 1048576);
  CHECK(parse_size("1.5KiB") == 1536);
  CHECK(parse_size("0.1 GiB") == 107374182);
  CHECK(parse_size("2 GB") == 2000000000);
  CHECK(parse_size("0 B") == 0);
  for (const char* text : {"", "12", "MiB", "-3 MiB", "3 Mib", "3  MiB", "1.2.3 MiB", "1e3 B",
                           "99999999999 TiB", "3 MiB ", "nan B", "inf B"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}
