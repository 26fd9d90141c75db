#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "dropit/keep_rule.h"
#include "tests/golden_folders.h"

namespace sbp::dropit {
namespace {

TEST_CASE("released counts equal the released code's table") {
  std::int64_t rows = 0;
  for (const auto& folder : tests::golden_folders()) {
    std::ifstream file(folder / "dropit_kept.json");
    if (!file) continue;
    for (const auto& row : nlohmann::json::parse(file)) {
      CAPTURE(row.dump());
      CHECK(kept_count(row.at("numel"), row.at("gamma"), true) == row.at("kept"));
      ++rows;
    }
  }
  CHECK(rows > 100);
}

TEST_CASE("our counts are rounded") {
  CHECK(kept_count(10, 0.9, true) == 0);
  CHECK(kept_count(10, 0.9, false) == 1);
  CHECK(kept_count(1000, 0.9, false) == 100);
  CHECK(kept_count(1000, 0.8, false) == 200);
  CHECK(kept_count(4, 0.9, false) == 0);
  CHECK(kept_count(7, 0.0, false) == 7);
  CHECK(kept_count(std::int64_t{1} << 40, 0.5, false) == std::int64_t{1} << 39);
}

std::vector<std::int64_t> kept_by_group(const KeepRule& rule,
                                        const std::vector<std::int64_t>& sizes,
                                        std::uint32_t step = 0) {
  const Groups groups(rule, sizes, {.seed = 3, .step = step, .purpose = Purpose::sampling});
  std::vector<std::int64_t> kept;
  for (std::int64_t g = 0; g < groups.count(); ++g) {
    kept.push_back(groups.kept_before(g + 1) - groups.kept_before(g));
    CHECK(kept.back() >= 0);
    CHECK(kept.back() <= groups.end(g) - groups.begin(g));
  }
  CHECK(std::accumulate(kept.begin(), kept.end(), std::int64_t{0}) == groups.kept());
  return kept;
}

TEST_CASE("what competes") {
  using List = std::vector<std::int64_t>;
  CHECK(kept_by_group({.gamma = 0.75}, {4, 10}) == List{10});
  CHECK(kept_by_group({.gamma = 0.75, .scope = Scope::sample}, {4, 10}) == List{3, 3, 3, 3});
  CHECK(kept_by_group({.gamma = 0.5, .scope = Scope::row}, {2, 3, 4}) == List(6, 2));
  CHECK(kept_by_group({.gamma = 0.5, .scope = Scope::row}, {2, 3, 4, 6}) == List(6, 12));
  CHECK(kept_by_group({.gamma = 0.5, .scope = Scope::row}, {0, 3}).empty());
  CHECK(kept_by_group({.gamma = 0.5, .scope = Scope::sample}, {}) == List{1});
  // The first version: int(0.1 * 16384) of each chunk, int(0.1 * 3616) of the last.
  CHECK(kept_by_group({.selection = Selection::chunk, .gamma = 0.9}, {20'000}) == List{1638, 361});
}

TEST_CASE("a random selection is drawn in parts whose mean counts are exact shares") {
  const KeepRule rule{.selection = Selection::random, .gamma = 0.9};
  double first = 0.0, last = 0.0;
  constexpr int kSteps = 2000;
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    const auto kept = kept_by_group(rule, {3 * 65'536 + 7}, step);
    REQUIRE(kept.size() == 4);
    first += static_cast<double>(kept.front()) / kSteps;
    last += static_cast<double>(kept.back()) / kSteps;
  }
  const double share = 19'662.0 / (3 * 65'536 + 7);  // round(0.1 n) of n
  CHECK(first == doctest::Approx(65'536 * share).epsilon(0.0001));
  CHECK(last == doctest::Approx(7 * share).epsilon(0.1));
}

TEST_CASE("a codec's spec reads back") {
  const KeepRule rule{.selection = Selection::random,
                      .gamma = 0.25,
                      .scope = Scope::sample,
                      .index = IndexForm::seed,
                      .unbiased = true};
  CHECK(to_string(spec_of(rule)) == "random:gamma=0.25,scope=sample,index=seed,unbiased=yes");
  CHECK(to_string(spec_of({})) == "mink:gamma=0.9,scope=tensor,index=mask");
  for (const KeepRule& one : {rule, KeepRule{}, KeepRule{.released = true}}) {
    const Spec spec = spec_of(one);
    const Spec read = parse_spec(to_string(spec), "codec", codec_schemas());
    CHECK(to_string(spec_of(rule_of(read))) == to_string(spec));
    CHECK(to_string(spec_of(rule_of(spec))) == to_string(spec));
  }
}

}  // namespace
}  // namespace sbp::dropit
