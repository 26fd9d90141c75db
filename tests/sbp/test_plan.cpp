#include <doctest/doctest.h>

#include "sbp/base/error.h"
#include "sbp/plan.h"
#include "sbp/sbp_strategy.h"
#include "tests/usage_error.h"

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

std::string error_of(const std::string& strategy, const SiteTable& sites) {
  return tests::usage_error(strategy, sites, registered());
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
        "sbp:keep=0.25,mask=random,start=-1,share=all,attention=query,proj=kept,mlp=auto,"
        "downsample=kept,norm=kept,unbiased=no,compat=none,layers=released,inputs=kept");
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
    return sites.add(name, kind, name.starts_with("layer") ? name[7] - '0' : -1,
                     {.height = side, .width = side});
  };
  add("bn1", SiteKind::batch_norm, 8);
  add("layer1.0.conv1", SiteKind::conv2d, 8);
  for (const auto& [block, side] : {std::pair{"layer1.0", 8}, {"layer1.1", 4}}) {
    const SiteId sum = add(concat(block, ".add"), SiteKind::residual, side);
    for (const char* norm : {".bn1", ".bn2"}) {
      sites.set_within(add(concat(block, norm), SiteKind::batch_norm, side), sum);
    }
  }
  add("layer1.1.downsample.1", SiteKind::batch_norm, 4);  // of the shortcut
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

// Three blocks as a ViT has them: residuals around both branches, the head reads the class token.
SiteTable vit_blocks() {
  SiteTable sites;
  for (int i = 0; i < 3; ++i) {
    const std::string name = concat("blocks.", i);
    sites.add(name + ".attn_add", SiteKind::residual, i, kGrid);
    sites.add({.name = name + ".attn",
               .kind = SiteKind::attention,
               .block = i,
               .geometry = kGrid,
               .heads = 3});
    sites.add(name + ".attn.proj", SiteKind::linear, i, kGrid);
    sites.add(name + ".mlp_add", SiteKind::residual, i, kGrid);
    const SiteId mlp = sites.add(name + ".mlp", SiteKind::positionwise, i, kGrid);
    sites.add({.name = name + ".mlp.fc1",
               .kind = SiteKind::linear,
               .block = i,
               .geometry = kGrid,
               .within = mlp});
  }
  sites.set_head_reads_leading();
  return sites;
}

// Keep ratios of the groups that the MLPs belong to.
std::vector<double> mlp_ratios(const std::string& text, const SiteTable& sites) {
  const Plan plan = resolve(text, sites, registered());
  std::vector<double> ratios;
  for (int i = 0; i < 3; ++i) {
    const auto& select = plan[sites.find(concat("blocks.", i, ".mlp"))].select;
    ratios.push_back(select ? plan.groups[static_cast<std::size_t>(select->group)].keep_ratio
                            : 1.0);
  }
  return ratios;
}

TEST_CASE("keep ratios are one, a list or a ramp over the blocks that drop") {
  const SiteTable sites = vit_blocks();
  CHECK(mlp_ratios("sbp:keep=0.25..0.75,layers=all", sites) == std::vector{0.25, 0.5, 0.75});
  CHECK(mlp_ratios("sbp:keep=[0.75;1;0.25],layers=all", sites) == std::vector{0.75, 1.0, 0.25});
  CHECK(mlp_ratios("sbp:keep=[0.2;0.4]", sites) == std::vector{1.0, 0.2, 0.4});
  CHECK(mlp_ratios("sbp:keep=0.5..1", sites) == std::vector{1.0, 0.5, 1.0});
  // Blocks of one ratio share a mask.
  CHECK(resolve("sbp:keep=[0.5;0.25;0.5],layers=all", sites, registered()).groups.size() == 2);
  CHECK(error_of("sbp:keep=[0.2;0.4;0.6]", sites) ==
        "sbp keep '[0.2;0.4;0.6]' lists 3 ratios and 2 blocks drop; give one of each");
  CHECK(error_of("sbp:keep=0.5..2", sites).find("'2' is no ratio in (0, 1]") != std::string::npos);
  CHECK(error_of("sbp:keep=half", sites).find("'half' is no ratio") != std::string::npos);
}

TEST_CASE("masks are shared by all, or a layer, a sample or nobody has its own") {
  const SiteTable sites = vit_blocks();
  const auto groups = [&](const std::string& share) {
    return resolve("sbp:share=" + share, sites, registered()).groups;
  };
  CHECK(groups("all").size() == 1);
  CHECK_FALSE(groups("all")[0].per_sample);
  CHECK(groups("sample").size() == 1);
  CHECK(groups("sample")[0].per_sample);
  REQUIRE(groups("layer").size() == 4);  // two blocks of attention and MLP
  CHECK(groups("layer")[0].name == "blocks.1.attn");
  CHECK(groups("none")[3].per_sample);
  // The projection goes with its attention.
  const Plan plan = resolve("sbp:share=layer", sites, registered());
  CHECK(plan[sites.find("blocks.2.attn.proj")].select->group ==
        plan[sites.find("blocks.2.attn")].select->group);
  CHECK(error_of("sbp:share=sample,keep=0.25", sites) == "");  // 4x4 cells: four diagonals of four
  SiteTable odd;
  odd.add("a.mlp", SiteKind::positionwise, 0, {.height = 3, .width = 3});
  CHECK(error_of("sbp:share=sample", odd) ==
        "sbp share='sample' with mask=grid: it keeps 4 to 5 of 9 cells at keep=0.5, and masks of "
        "samples need one count; use mask=exact");
}

TEST_CASE("unbiased weighs by the inverse probability, and not with a shared mask") {
  const SiteTable sites = vit_blocks();
  const Plan grid = resolve("sbp:unbiased=yes,share=layer,keep=0.25", sites, registered());
  for (const MaskGroup& group : grid.groups) CHECK(group.weight == 4.0);
  const Plan random =
      resolve("sbp:unbiased=yes,share=layer,keep=0.3,mask=random", sites, registered());
  CHECK(random.groups[0].weight == 16.0 / 5.0);  // 16 - int(0.7 * 16) cells
  const Plan heads =
      resolve("sbp:unbiased=yes,share=layer,attention=head,mlp=off", sites, registered());
  CHECK(heads.groups[0].weight == doctest::Approx(17.0 / 9.0));
  for (const std::string share : {"all", "sample"}) {
    CHECK(error_of("sbp:unbiased=yes,mask=exact,share=" + share, sites)
              .find("use share=layer or share=none") != std::string::npos);
  }
  CHECK(error_of("sbp:unbiased=yes,share=layer,attention=qkv", sites).find("attention='qkv'") !=
        std::string::npos);
  CHECK(error_of("sbp:unbiased=yes,share=layer,start=0", sites).find("start='0'") !=
        std::string::npos);
  CHECK(error_of("sbp:unbiased=yes,share=layer,mask=random,keep=1e-17", sites)
            .find("keeps no cell of 16") != std::string::npos);
}

TEST_CASE("with qkv, dropped rows depart where nobody reads them any more") {
  const SiteTable sites = vit_blocks();
  const auto departs = [&](const std::string& text) {
    const Plan plan = resolve(text, sites, registered());
    for (SiteId id = 0; id < sites.size(); ++id) {
      if (plan[id].departs) return sites[id].name;
    }
    return std::string();
  };
  CHECK(departs("sbp:attention=qkv") == "blocks.1.attn_add");
  CHECK(departs("sbp:attention=qkv,layers=all") == "blocks.0.attn_add");
  CHECK(departs("sbp:attention=qkv,mlp=off") == "blocks.1.attn_add");
  CHECK(departs("sbp:attention=qkv,layers=[0;2]") == "blocks.2.attn_add");
  CHECK(departs("sbp:attention=qkv,layers=0-1") == "");
  CHECK(departs("sbp:attention=qkv,keep=0.25..0.75,layers=all") == "blocks.2.attn_add");
  CHECK(departs("sbp:attention=qkv,share=sample") == "blocks.1.attn_add");
  CHECK(departs("sbp:attention=qkv,share=layer") == "");
  CHECK(departs("sbp:attention=qkv,compat=released") == "");
  CHECK(departs("sbp:attention=qkv_exact") == "");
  CHECK(departs("sbp") == "");
  const Plan plan = resolve("sbp:attention=qkv,layers=[0;2]", sites, registered());
  CHECK_FALSE(plan.forward_exact);
  CHECK_FALSE(plan[sites.find("blocks.0.attn")].select->departed);
  CHECK(plan[sites.find("blocks.2.attn")].select->departed);
  CHECK(plan[sites.find("blocks.2.mlp")].select->departed);
  CHECK_FALSE(plan[sites.find("blocks.1.mlp")].select.has_value());
  // Another mask on later rows needs them all.
  CHECK(departs("sbp:attention=qkv,mlp=off+sbp:attention=none,layers=*.mlp,keep=0.25") == "");
  CHECK(departs("sbp:attention=qkv,mlp=off+sbp:attention=none,layers=0") == "blocks.1.attn_add");
  // A head that reads all rows needs them all.
  const SiteTable plain = three_blocks();
  for (const PlanRow& row : resolve("sbp:attention=qkv", plain, registered()).rows) {
    CHECK_FALSE(row.departs);
  }
}

TEST_CASE("compat=released fills in what the released code does, and says so") {
  const SiteTable sites = vit_blocks();
  const Plan plan = resolve("sbp:compat=released,attention=qkv", sites, registered());
  CHECK(plan.strategy.find("proj=all,mlp=store") != std::string::npos);
  CHECK(plan.masks_in_evaluation);
  CHECK(plan.warnings.size() == 1);
  CHECK(resolve("sbp:compat=released,proj=kept", sites, registered())
            .strategy.find("proj=kept,mlp=store") != std::string::npos);
  CHECK_FALSE(resolve("sbp", sites, registered()).masks_in_evaluation);
  CHECK(resolve(plan.strategy, sites, registered()).strategy == plan.strategy);
}

TEST_CASE("an MLP is one node unless somebody else decides how it is kept") {
  const SiteTable sites = vit_blocks();
  const SiteId mlp = sites.find("blocks.1.mlp"), fc1 = sites.find("blocks.1.mlp.fc1");
  const auto built = [&](const auto& also) {
    PlanBuilder builder(sites);
    builder.begin({"one", {}});
    builder.prefer_function(mlp);
    builder.begin({"two", {}});
    also(builder);
    return std::move(builder).finish()[mlp].materialise;
  };
  CHECK(built([](PlanBuilder&) {}) == Materialise::function);
  CHECK(built([&](PlanBuilder& plan) { plan.materialise(mlp, Materialise::recompute); }) ==
        Materialise::recompute);
  CHECK(built([&](PlanBuilder& plan) {
          plan.code(fc1, SavedRole::linear_input, {"quant", {}});
        }) == Materialise::store);
  CHECK(resolve("sbp:mlp=store", sites, registered())[mlp].materialise == Materialise::store);
  CHECK(resolve("sbp:mlp=recompute", sites, registered())[mlp].materialise ==
        Materialise::recompute);
}

TEST_CASE("what runs again in backward is left exact, and so is what it holds") {
  SiteTable sites;
  const SiteId before = sites.add("act0", SiteKind::nonlinearity);
  const SiteId conv = sites.add("a.conv1", SiteKind::conv2d, 0);
  const SiteId beside = sites.add("a.downsample", SiteKind::conv2d, 0);
  const SiteId add = sites.add("a.add", SiteKind::residual, 0);
  const SiteId after = sites.add("b.conv1", SiteKind::conv2d, 1);
  sites.set_within(conv, add);
  for (const SiteId taker : {conv, beside}) sites.set_input(taker, before);
  const auto built = [&](bool again) {
    PlanBuilder builder(sites);
    builder.begin({"codes", {}});
    for (const SiteId id : {conv, beside, after}) {
      builder.code(id, SavedRole::convolution_input, {"code", {}});
    }
    builder.code(before, SavedRole::nonlinearity_output, {"sign", {}});
    builder.begin({"again", {}});
    if (again) builder.materialise(add, Materialise::recompute);
    return std::move(builder).finish();
  };
  for (const PlanRow& row : built(false).rows) CHECK(row.note.empty());
  const Plan plan = built(true);
  CHECK(plan[conv].codes.empty());
  CHECK(plan[conv].note == "saved 0: runs again with a.add");
  for (const SiteId id : {before, beside}) {
    CHECK(plan[id].codes.empty());
    CHECK(plan[id].note == "saved 0: still held by a.add");
  }
  CHECK(plan[after].codes.size() == 1);
  CHECK(run_again_with(sites, plan, conv) == add);
  CHECK(run_again_with(sites, plan, after) == -1);
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].starts_with("1 coded layers run again in backward"));
}

TEST_CASE("an attention option is for models that have one") {
  SiteTable sites;
  sites.add("a.mlp", SiteKind::positionwise, 0, {.height = 2, .width = 2});
  CHECK(error_of("sbp:attention=qkv", sites) ==
        "sbp attention='qkv': this model has no attention, but positionwise; leave attention out");
  CHECK(error_of("sbp:attention=none", sites) == "");
}

TEST_CASE("options that heads have no use for are refused") {
  const SiteTable sites = vit_blocks();
  CHECK(error_of("sbp:attention=head,share=sample", sites).find("share='sample'") !=
        std::string::npos);
  CHECK(error_of("sbp:attention=head,proj=kept", sites) ==
        "sbp attention='head' with proj='kept': kept heads keep all rows; use proj=all");
  CHECK(resolve("sbp:attention=head", sites, registered()).strategy.find("proj=all") !=
        std::string::npos);
}

TEST_CASE("a fixed start is that of a grid, within its stride") {
  const SiteTable sites = vit_blocks();
  CHECK(resolve("sbp:keep=0.25,start=3", sites, registered()).groups[0].start == 3);
  CHECK(error_of("sbp:keep=0.25,start=4", sites) ==
        "sbp start='4' is outside 0-3, the grid's starting points at keep=0.25");
  CHECK(error_of("sbp:mask=random,start=0", sites) ==
        "sbp start='0' with mask='random'; a grid mask alone has starting points");
}

TEST_CASE("what cannot be meant is said in one sentence") {
  const SiteTable sites = three_blocks();
  CHECK(error_of("sbp:layers=1-5", sites) == "sbp layers '1-5' names a block outside 0-2");
  CHECK(error_of("sbp:layers=releasd", sites) ==
        "sbp layers 'releasd' names 'releasd', which is none of all, released, a range such as "
        "4-11, a part such as 0.5 or a name of this model: blocks.*.attn, blocks.*.attn.proj, "
        "blocks.*.mlp, head");
  CHECK(error_of("sbp:attention=none,mlp=off,layers=all", sites) ==
        "strategy 'sbp:keep=0.5,mask=grid,start=-1,share=all,attention=none,proj=kept,mlp=off,"
        "downsample=kept,norm=kept,unbiased=no,compat=none,layers=all,inputs=kept' drops nothing "
        "in this "
        "model; use 'full', or other keys: it acts on attention, MLPs, "
        "downsamplings and batch norms of the chosen layers");
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
