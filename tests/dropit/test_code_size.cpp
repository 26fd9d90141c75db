#include <doctest/doctest.h>

#include "dropit/code_size.h"

namespace sbp::dropit {
namespace {

TEST_CASE("index bytes of each form") {
  CHECK(index_bytes(IndexForm::int64, 1000, 100) == 800);
  CHECK(index_bytes(IndexForm::int32, 1000, 100) == 400);
  CHECK(index_bytes(IndexForm::mask, 1000, 100) == 125);
  CHECK(index_bytes(IndexForm::mask, 1001, 100) == 126);
  CHECK(index_bytes(IndexForm::block, 1000, 100) == 100 + 2 * 4);
  CHECK(index_bytes(IndexForm::block, 1024, 0) == 2 * 4);
  CHECK(index_bytes(IndexForm::block, 1025, 0) == 2 * 5);
  CHECK(index_bytes(IndexForm::seed, 1000, 100) == 0);
}

TEST_CASE("auto takes the fewest bytes") {
  CHECK(cheapest_index({.gamma = 0.5}) == IndexForm::mask);
  CHECK(cheapest_index({.gamma = 0.88}) == IndexForm::mask);    // 0.12 + 1/128 > 1/8
  CHECK(cheapest_index({.gamma = 0.883}) == IndexForm::block);  // 0.117 + 1/128 < 1/8
  CHECK(cheapest_index({.gamma = 0.9}) == IndexForm::block);
  CHECK(cheapest_index({.gamma = 0.998}) == IndexForm::int32);
  CHECK(cheapest_index({.selection = Selection::random, .gamma = 0.5}) == IndexForm::seed);
}

std::string warning(double gamma, IndexForm index, int value_bytes) {
  return size_warning("dropit", {.gamma = gamma, .index = index}, value_bytes);
}

TEST_CASE("a code that saves nothing is told with its figures") {
  CHECK(warning(0.5, IndexForm::int32, 4) ==
        "dropit saves nothing: at gamma=0.5 it stores 2 bytes of values and 2 of int32 index an "
        "element, of 4; use a larger gamma or index=auto");
  CHECK(warning(0.51, IndexForm::int32, 4).empty());
  CHECK(warning(0.6, IndexForm::int32, 2) != "");  // breaks even at 2/3
  CHECK(warning(0.67, IndexForm::int32, 2).empty());
  CHECK(warning(0.6, IndexForm::int64, 4) != "");
  CHECK(warning(0.02, IndexForm::mask, 4) != "");
  CHECK(warning(0.04, IndexForm::mask, 4).empty());
  CHECK(warning(0.05, IndexForm::mask, 2) != "");
  CHECK(warning(0.07, IndexForm::mask, 2).empty());
}

}  // namespace
}  // namespace sbp::dropit
