#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sbp/base/error.h"
#include "sbp/mask.h"
#include "tests/golden_folders.h"

namespace sbp {
namespace {

constexpr RowGeometry kViT{.leading = 1, .height = 14, .width = 14};

TEST_CASE("a grid mask is a diagonal") {
  CHECK(grid_mask(2, 4, 0.5, 0) == KeptCells{0, 2, 5, 7});
  CHECK(grid_mask(2, 4, 0.5, 1) == KeptCells{1, 3, 4, 6});
  CHECK(grid_mask(2, 4, 0.75, 1) == KeptCells{0, 2, 3, 5, 6, 7});
}

TEST_CASE("grid strides round half to even, as released") {
  CHECK(grid_stride(0.5) == 2);
  CHECK(grid_stride(0.4) == 2);  // 2.5 -> 2
  CHECK(grid_stride(0.25) == 4);
  CHECK(grid_stride(0.6) == 2);  // 2.5 -> 2: 0.6 trains at one half
  CHECK(grid_stride(0.75) == 4);
  CHECK(grid_stride(1e-300) == std::int64_t{1} << 31);
}

TEST_CASE("rows of a split are ascending, complete and start with the class token") {
  KeyedMaskSource masks(7);
  for (const MaskKind kind :
       {MaskKind::grid, MaskKind::exact, MaskKind::random, MaskKind::stratified}) {
    for (const double keep : {0.1, 0.25, 0.5, 0.6, 0.9}) {
      for (std::uint32_t step = 0; step < 8; ++step) {
        const RowSplit split = split_rows(
            masks.draw({.kind = kind, .keep_ratio = keep, .geometry = kViT, .step = step}), kViT);
        CHECK(split.kept.front() == 0);
        CHECK(std::ranges::is_sorted(split.kept));
        CHECK(std::ranges::is_sorted(split.dropped));
        std::set<std::int64_t> all(split.kept.begin(), split.kept.end());
        all.insert(split.dropped.begin(), split.dropped.end());
        CHECK(all.size() == 197);
        CHECK(split.kept.size() + split.dropped.size() == 197);
      }
    }
  }
}

TEST_CASE("a random mask drops int((1 - keep) * cells) cells") {
  KeyedMaskSource masks(1);
  for (const auto& [keep, kept] : {std::pair{0.5, 98U}, {0.25, 49U}, {0.3, 59U}, {0.9, 177U}}) {
    const MaskRequest request{.kind = MaskKind::random, .keep_ratio = keep, .geometry = kViT};
    CHECK(masks.draw(request).size() == kept);
  }
}

TEST_CASE("masks are a function of seed, step and group") {
  KeyedMaskSource masks(3), same(3), other(4);
  MaskRequest request{.kind = MaskKind::random, .geometry = kViT, .step = 5};
  const KeptCells first = masks.draw(request);
  CHECK(masks.draw(request) == first);
  CHECK(same.draw(request) == first);
  CHECK(other.draw(request) != first);
  request.step = 6;
  CHECK(masks.draw(request) != first);
  request.step = 5;
  request.group = 1;
  CHECK(masks.draw(request) != first);
}

TEST_CASE("a replicated mask keeps blocks of cells") {
  CHECK(replicate({1, 2}, {.height = 2, .width = 2}, 2) == KeptCells{2, 3, 6, 7, 8, 9, 12, 13});
  CHECK(replicate({0, 3}, kViT, 1) == KeptCells{0, 3});
  CHECK(refined({.leading = 1, .height = 2, .width = 3, .cell_pixels = 32}, 4) ==
        RowGeometry{.leading = 1, .height = 8, .width = 12, .cell_pixels = 8});
}

TEST_CASE("replicated grid masks equal the released ones" * doctest::test_suite("vectors")) {
  for (const std::filesystem::path& folder : tests::golden_folders()) {
    std::ifstream file(folder / "grid_mask_blocks.json");
    if (!file) continue;
    int compared = 0;
    for (const auto& row : nlohmann::json::parse(file)) {
      const std::int64_t factor = row.at("block");
      const RowGeometry base{.height = row.at("h").get<std::int64_t>() / factor,
                             .width = row.at("w").get<std::int64_t>() / factor};
      const KeptCells cells =
          grid_mask(base.height, base.width, row.at("keep_ratio"), row.at("start"));
      CHECK(replicate(cells, base, factor) == row.at("keep").get<KeptCells>());
      ++compared;
    }
    CHECK(compared > 0);
  }
}

TEST_CASE("every start of a grid mask is drawn equally often") {
  KeyedMaskSource masks(11);
  std::map<std::int64_t, int> count;
  for (std::uint32_t step = 0; step < 4000; ++step) {
    ++count[masks.draw({.keep_ratio = 0.25, .geometry = {.height = 1, .width = 4}, .step = step})
                .front()];
  }
  REQUIRE(count.size() == 4);
  // Four sigma of a binomial(4000, 1/4): 110.
  for (const auto& [start, times] : count) CHECK(std::abs(times - 1000) < 110);
}

TEST_CASE("an exact grid keeps what is asked, and at one half is the released grid") {
  for (const RowGeometry& grid :
       {kViT, RowGeometry{.height = 7, .width = 7}, {.height = 3, .width = 5}}) {
    for (const double keep : {0.1, 0.25, 0.5, 0.55, 0.6, 0.9}) {
      const auto count = std::llround(keep * static_cast<double>(grid.cells()));
      for (const double offset : {0.0, 0.3, 0.7, 0.999999}) {
        CHECK(std::ssize(exact_mask(grid, keep, offset)) == count);
      }
      CHECK(kept_range(MaskKind::exact, keep, grid).least == count);
      CHECK(kept_range(MaskKind::exact, keep, grid).most == count);
    }
  }
  CHECK(exact_mask(kViT, 0.5, 0.75) == grid_mask(14, 14, 0.5, 0));
  CHECK(exact_mask(kViT, 0.5, 0.25) == grid_mask(14, 14, 0.5, 1));
}

TEST_CASE("a stratified mask keeps one cell of each run, wherever the runs start") {
  KeyedMaskSource masks(5);
  const RowGeometry grid{.height = 4, .width = 6};
  for (std::uint32_t step = 0; step < 100; ++step) {
    const KeptCells kept = masks.draw(
        {.kind = MaskKind::stratified, .keep_ratio = 0.25, .geometry = grid, .step = step});
    REQUIRE(kept.size() == 6);
    bool one_a_run = false;
    for (std::int64_t origin = 0; origin < 4; ++origin) {
      std::set<std::int64_t> runs;
      for (const std::int64_t cell : kept) runs.insert((cell + 24 - origin) % 24 / 4);
      one_a_run = one_a_run || runs.size() == 6;
    }
    CHECK(one_a_run);
  }
}

TEST_CASE("every cell is kept with the probability that is claimed") {
  KeyedMaskSource masks(17);
  const RowGeometry grid{.height = 3, .width = 5};
  constexpr int kDraws = 4000;
  for (const MaskKind kind : {MaskKind::grid, MaskKind::exact, MaskKind::random,
                              MaskKind::stratified, MaskKind::bernoulli}) {
    for (const double keep : {0.25, 0.4, 0.7}) {
      std::vector<int> count(15);
      for (std::uint32_t step = 0; step < kDraws; ++step) {
        for (const std::int64_t cell :
             masks.draw({.kind = kind, .keep_ratio = keep, .geometry = grid, .step = step})) {
          ++count[static_cast<std::size_t>(cell)];
        }
      }
      const double p = inclusion_probability(kind, keep, grid.cells());
      CAPTURE(to_string(kind));
      CAPTURE(keep);
      // Of 225 counts, five sigma of a binomial.
      const double margin = 5.0 * std::sqrt(kDraws * p * (1.0 - p));
      for (const int times : count) CHECK(std::abs(times - kDraws * p) <= margin);
    }
  }
}

TEST_CASE("a grid's range of counts spans all its starting points") {
  const KeptRange quarter = kept_range(MaskKind::grid, 0.25, kViT);
  CHECK(quarter.least == 48);
  CHECK(quarter.most == 50);
  CHECK(kept_range(MaskKind::grid, 0.5, kViT).least == 98);
  CHECK(kept_range(MaskKind::grid, 0.5, kViT).most == 98);
  CHECK(kept_range(MaskKind::grid, 1e-9, kViT).least == 0);
}

TEST_CASE("samples have masks of their own; the first has that of the batch") {
  KeyedMaskSource masks(3);
  MaskRequest request{.kind = MaskKind::random, .geometry = kViT, .step = 2};
  const KeptCells shared = masks.draw(request);
  request.sample = 1;
  CHECK(masks.draw(request) != shared);
  request.sample = 0;
  CHECK(masks.draw(request) == shared);
  request.group = 1 << 12;
  CHECK_THROWS_AS(masks.draw(request), Error);
}

TEST_CASE("a grid mask may start where it is told") {
  KeyedMaskSource masks(3);
  for (std::uint32_t step = 0; step < 4; ++step) {
    CHECK(masks.draw({.keep_ratio = 0.25, .geometry = kViT, .step = step, .start = 3}) ==
          grid_mask(14, 14, 0.25, 3));
  }
}

TEST_CASE("grid masks equal the released ones" * doctest::test_suite("vectors")) {
  for (const std::filesystem::path& folder : tests::golden_folders()) {
    std::ifstream file(folder / "grid_mask.json");
    if (!file) continue;
    const auto table = nlohmann::json::parse(file);
    int compared = 0;
    for (const auto& row : table) {
      const auto kept = row.at("keep").get<KeptCells>();
      CHECK(grid_mask(row.at("h"), row.at("w"), row.at("keep_ratio"), row.at("start")) == kept);
      ++compared;
    }
    CHECK(compared > 0);
  }
}

}  // namespace
}  // namespace sbp
