#include <doctest/doctest.h>

#include "sbp/base/error.h"
#include "sbp/plan.h"
#include "sbp/sbp_strategy.h"

namespace sbp {
namespace {

constexpr RowGeometry kGrid{.leading = 1, .height = 4, .width = 4};

// Three blocks of attention (with projection) and MLP.
SiteTable three_blocks() {
  SiteTable sites;
  for (int i = 0; i < 3; ++i) {
    const std::string name = concat("blocks.", i);
    sites.add(name + ".attn", SiteKind::attention, i, kGrid);
    sites.add(name + ".attn.proj", SiteKind::linear, i, kGrid);
    sites.add(name + ".mlp", SiteKind::positionwise, i, kGrid);
  }
  sites.add("head", SiteKind::linear);
  return sites;
}

const std::vector<Strategy>& registered() {
  static const std::vector<Strategy> all = {full_strategy(), sbp_strategy()};
  return all;
}

std::string selected(const std::string& text, const SiteTable& sites) {
  const Plan plan = resolve(text, sites, registered());
  std::string names;
  for (SiteId id = 0; id < sites.size(); ++id) {
    if (plan[id].select) names += sites[id].name + " ";
  }
  return names;
}

std::string error_of(const std::string& text, const SiteTable& sites) {
  try {
    resolve(text, sites, registered());
  } catch (const UsageError& error) {
    CHECK(error.code() == ExitCode::usage);
    return error.what();
  }
  return "";
}

TEST_CASE("sbp claims attention, projection and MLP of the last two thirds") {
  const SiteTable sites = three_blocks();
  CHECK(selected("full", sites) == "");
  CHECK(selected("sbp", sites) ==
        "blocks.1.attn blocks.1.attn.proj blocks.1.mlp "
        "blocks.2.attn blocks.2.attn.proj blocks.2.mlp ");
  CHECK(selected("sbp:proj=all", sites) ==
        "blocks.1.attn blocks.1.mlp blocks.2.attn blocks.2.mlp ");
  CHECK(selected("sbp:attention=none,layers=0", sites) == "blocks.0.mlp ");
  CHECK(selected("sbp:mlp=off,layers=[0;2]", sites) ==
        "blocks.0.attn blocks.0.attn.proj blocks.2.attn blocks.2.attn.proj ");
  CHECK(selected("sbp:layers=*.mlp", sites) == "blocks.0.mlp blocks.1.mlp blocks.2.mlp ");
  CHECK(selected("sbp:layers=blocks.1", sites) == "blocks.1.attn blocks.1.attn.proj blocks.1.mlp ");
  CHECK(selected("sbp:keep=1", sites) == "");
}

TEST_CASE("one mask group serves all sites, and the spec is resolved") {
  const SiteTable sites = three_blocks();
  const Plan plan = resolve("sbp:keep=0.25,mask=random", sites, registered());
  REQUIRE(plan.groups.size() == 1);
  CHECK(plan.groups[0].keep_ratio == 0.25);
  CHECK(plan.groups[0].kind == MaskKind::random);
  CHECK(plan.groups[0].geometry == kGrid);
  CHECK(plan.strategy ==
        "sbp:keep=0.25,mask=random,attention=query,proj=kept,mlp=store,"
        "downsample=kept,norm=kept,layers=released");
  CHECK(plan.forward_exact);
  CHECK_FALSE(plan.masks_in_evaluation);
}

// Stages of the given depths on a grid of 8x8, 4x4, ...; a downsampling before all but the first.
SiteTable stages_of(const std::vector<int>& depths) {
  SiteTable sites;
  RowGeometry grid{.height = 8, .width = 8, .cell_pixels = 4};
  int block = 0;
  for (int stage = 0; stage < std::ssize(depths); ++stage) {
    const std::string name = concat("stages.", stage);
    const auto add = [&](const std::string& part) {
      sites.add({.name = name + part,
                 .kind = SiteKind::positionwise,
                 .block = block,
                 .geometry = grid,
                 .stage = stage});
    };
    if (stage > 0) add(".downsample");
    for (int i = 0; i < depths[static_cast<std::size_t>(stage)]; ++i, ++block) {
      add(concat(".blocks.", i));
    }
    grid = {
        .height = grid.height / 2, .width = grid.width / 2, .cell_pixels = grid.cell_pixels * 2};
  }
  return sites;
}

TEST_CASE("finer stages take the coarsest dropping stage's mask in blocks of cells") {
  const SiteTable sites = stages_of({1, 1, 2, 1});
  const Plan all = resolve("sbp:layers=all", sites, registered());
  REQUIRE(all.groups.size() == 1);
  CHECK(all.groups[0].geometry.height == 1);
  CHECK(all[sites.find("stages.0.blocks.0")].select->factor == 8);
  CHECK(all[sites.find("stages.3.downsample")].select->factor == 1);
  const Plan some = resolve("sbp:layers=[0;3]", sites, registered());
  CHECK(some.groups[0].geometry.height == 2);
  CHECK(some[sites.find("stages.0.blocks.0")].select->factor == 4);
  CHECK(selected("sbp:layers=[1;2]", sites) ==
        "stages.1.downsample stages.1.blocks.0 stages.2.downsample stages.2.blocks.0 ");
  CHECK(selected("sbp:layers=3", sites) == "stages.2.blocks.1 ");
  CHECK(selected("sbp:layers=1,downsample=all", sites) == "stages.1.blocks.0 ");
  CHECK(selected("sbp:layers=1,mlp=off", sites) == "stages.1.downsample ");
  CHECK(site_rows({.group = 0, .factor = 3}, {.name = "all", .geometry = {1, 2, 2}}, 1 + 2) ==
        1 + 18);
}

TEST_CASE("of a residual net with batch norm, the norms of the branches drop") {
  SiteTable sites;
  const auto add = [&](const std::string& name, SiteKind kind, std::int64_t side) {
    sites.add(name, kind, name.starts_with("layer") ? name[7] - '0' : -1,
              {.height = side, .width = side});
  };
  add("bn1", SiteKind::batch_norm, 8);
  add("layer1.0.conv1", SiteKind::conv2d, 8);
  add("layer1.0.bn1", SiteKind::batch_norm, 8);
  add("layer1.0.bn2", SiteKind::batch_norm, 8);
  add("layer1.1.bn1", SiteKind::batch_norm, 4);
  add("layer1.1.bn2", SiteKind::batch_norm, 4);
  add("layer1.1.downsample.1", SiteKind::batch_norm, 4);
  const Plan plan = resolve("sbp:layers=all", sites, registered());
  CHECK(selected("sbp:layers=all", sites) ==
        "layer1.0.bn1 layer1.0.bn2 layer1.1.bn1 layer1.1.bn2 ");
  CHECK(plan.groups.at(0).geometry.height == 4);
  CHECK(plan[sites.find("layer1.0.bn1")].select->factor == 2);
  CHECK(selected("sbp", sites) == "layer1.1.bn1 layer1.1.bn2 ");
  CHECK(error_of("sbp:norm=all", sites).find("drops nothing in this model") != std::string::npos);
}

TEST_CASE("strategies on different layers compose; on one site they collide") {
  const SiteTable sites = three_blocks();
  const Plan plan =
      resolve("sbp:keep=0.5,layers=1+sbp:keep=0.25,layers=2,mlp=off", sites, registered());
  REQUIRE(plan.groups.size() == 2);
  CHECK(plan.groups[0].name == "all");
  CHECK(plan.groups[1].name == "all-2");
  CHECK(plan[sites.find("blocks.1.mlp")].select->group == 0);
  CHECK(plan[sites.find("blocks.2.attn")].select->group == 1);
  const std::string message = error_of("sbp:keep=0.5+sbp:keep=0.25,layers=2", sites);
  CHECK(message.find("keep=0.5,") != std::string::npos);
  CHECK(message.find("keep=0.25,") != std::string::npos);
  CHECK(message.find("blocks.2.attn") != std::string::npos);
}

TEST_CASE("what cannot be meant is said in one sentence") {
  const SiteTable sites = three_blocks();
  CHECK(error_of("sbp:layers=1-5", sites) == "sbp layers '1-5' names a block outside 0-2");
  CHECK(error_of("sbp:layers=releasd", sites) ==
        "sbp layers 'releasd' names 'releasd', which is none of all, released, a range such as "
        "4-11, a part such as 0.5 or a name of this model: blocks.*.attn, blocks.*.attn.proj, "
        "blocks.*.mlp, head");
  CHECK(error_of("sbp:attention=none,mlp=off,layers=all", sites) ==
        "strategy 'sbp:keep=0.5,mask=grid,attention=none,proj=kept,mlp=off,downsample=kept,"
        "norm=kept,layers=all' drops nothing in this model; use 'full', or other keys");
  CHECK(error_of("sbp+full", sites) ==
        "strategy 'sbp+full' joins 'full', which drops nothing, with others; leave it out");
  CHECK(error_of("sbp:keep=0", sites).find("'0'") != std::string::npos);
  CHECK(error_of("sbp:keep=1.5", sites).find("'1.5'") != std::string::npos);
  SiteTable no_grid;
  no_grid.add("fc", SiteKind::linear, 0);
  CHECK(error_of("sbp", no_grid) ==
        "strategy 'sbp' finds no site to drop rows at: it needs attention, positionwise or "
        "batch norm sites on a grid, and this model has: linear");
}

}  // namespace
}  // namespace sbp
