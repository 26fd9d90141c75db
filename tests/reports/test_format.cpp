#include <doctest/doctest.h>

#include <limits>

#include "reports/format.h"
#include "reports/text.h"

using namespace sbp::reports;

TEST_CASE("bytes are shown in binary units with one decimal") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(812) == "812 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(1048576) == "1.0 MiB");
  CHECK(bytes_text(284688384) == "271.5 MiB");
  CHECK(bytes_text(-2048) == "-2.0 KiB");
  CHECK(bytes_text(std::int64_t{5} << 40) == "5.0 TiB");
}

TEST_CASE("bytes just below a unit are not shown as 1024.0 of the smaller one") {
  CHECK(bytes_text(1048576 - 1) == "1.0 MiB");
  CHECK(bytes_text(1023 * 1024) == "1023.0 KiB");
}

TEST_CASE("the largest counts have a spelling") {
  CHECK(bytes_text(std::numeric_limits<std::int64_t>::max()) == "8.0 EiB");
  CHECK(bytes_text(std::numeric_limits<std::int64_t>::min()) == "-8.0 EiB");
}

TEST_CASE("changes carry their sign") {
  CHECK(change_text(1536) == "+1.5 KiB");
  CHECK(change_text(-812) == "-812 B");
  CHECK(change_text(0) == "0 B");
}

TEST_CASE("counts are grouped by three") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1204) == "1,204");
  CHECK(count_text(5717416) == "5,717,416");
  CHECK(count_text(-1234567) == "-1,234,567");
  CHECK(count_text(-123) == "-123");
}

TEST_CASE("numbers that are not finite are said to be so") {
  CHECK(number_text(1.0 / 3.0, 4) == "0.3333");
  CHECK(number_text(std::numeric_limits<double>::quiet_NaN(), 4) == "not finite");
  CHECK(short_number_text(-std::numeric_limits<double>::infinity()) == "not finite");
  CHECK(seconds_text(std::numeric_limits<double>::infinity()) == "not finite");
}

TEST_CASE("small numbers keep three digits") {
  CHECK(short_number_text(0.001) == "0.001");
  CHECK(short_number_text(0.00003) == "3e-05");
  CHECK(short_number_text(0.012345) == "0.0123");
}

TEST_CASE("seconds choose their unit") {
  CHECK(seconds_text(0.0000125) == "12 us");
  CHECK(seconds_text(0.0123) == "12.3 ms");
  CHECK(seconds_text(4.56) == "4.56 s");
  CHECK(seconds_text(200.9) == "3 min 20 s");
  CHECK(seconds_text(7260.0) == "2 h 1 min");
}

TEST_CASE("shares are percents of a whole that may be nothing") {
  CHECK(share_text(1, 8) == "12.5 %");
  CHECK(share_text(0, 0) == "-");
}

TEST_CASE("control characters cannot reach a terminal") {
  CHECK(printable("a\x1b[31mb\n\x7f") == "a?[31mb??");
  CHECK(printable("größe") == "größe");
}

TEST_CASE("width counts characters, not bytes") {
  CHECK(shown_width("abc") == 3);
  CHECK(shown_width("größe") == 5);
  CHECK(shown_width("") == 0);
}
