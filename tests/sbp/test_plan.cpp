#include <doctest/doctest.h>

#include <algorithm>

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
        "layers=released");
  CHECK(plan.forward_exact);
  CHECK_FALSE(plan.masks_in_evaluation);
}

TEST_CASE("released layers are the last round(2/3 depth)") {
  const auto count = [](int blocks) {
    const auto chosen = chosen_blocks("released", blocks);
    return std::count(chosen.begin(), chosen.end(), true);
  };
  CHECK(count(12) == 8);
  CHECK(count(4) == 3);
  CHECK(count(24) == 16);
  CHECK(count(1) == 1);
  CHECK(chosen_blocks("4-11", 12) == chosen_blocks("released", 12));
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
        "sbp layers 'releasd' is none of released, all, a range such as 4-11 or a list such as "
        "[0;2;4]");
  CHECK(error_of("sbp:attention=none,mlp=off", sites) ==
        "strategy 'sbp:attention=none,mlp=off' drops nothing; use 'full'");
  CHECK(error_of("sbp+full", sites) ==
        "strategy 'sbp+full' joins 'full', which drops nothing, with others; leave it out");
  CHECK(error_of("sbp:keep=0", sites).find("'0'") != std::string::npos);
  CHECK(error_of("sbp:keep=1.5", sites).find("'1.5'") != std::string::npos);
  SiteTable no_grid;
  no_grid.add("fc", SiteKind::linear, 0);
  CHECK(error_of("sbp", no_grid) ==
        "strategy 'sbp' finds no site to drop rows at: it needs attention or positionwise sites "
        "on a grid, and this model has: linear");
}

}  // namespace
}  // namespace sbp
