#include <doctest/doctest.h>

#include "dropit/dropit_strategy.h"
#include "sbp/base/error.h"
#include "sbp/sbp_strategy.h"
#include "tests/usage_error.h"

namespace sbp::dropit {
namespace {

const std::vector<Strategy>& registered() {
  static const std::vector<Strategy> all = {full_strategy(), sbp_strategy(), dropit_strategy()};
  return all;
}

// Two blocks of a fused ViT, with stem and head.
SiteTable small_vit() {
  constexpr RowGeometry kGrid{.leading = 1, .height = 4, .width = 4};
  SiteTable sites;
  sites.add("patch_embed.proj", SiteKind::conv2d);
  for (int i = 0; i < 2; ++i) {
    const std::string name = concat("blocks.", i);
    const SiteId attention = sites.add(name + ".attn", SiteKind::attention, i, kGrid);
    sites.add(name + ".attn.qkv", SiteKind::linear, i);
    sites.set_input(sites.add(name + ".attn.proj", SiteKind::linear, i, kGrid), attention);
    sites.add(name + ".mlp", SiteKind::positionwise, i, kGrid);
    sites.add(name + ".mlp.fc1", SiteKind::linear, i);
    sites.add(name + ".mlp.act", SiteKind::nonlinearity, i);
    sites.add(name + ".mlp.fc2", SiteKind::linear, i);
  }
  sites.add("head", SiteKind::linear);
  return sites;
}

// ReLU -> conv1 and downsample, ReLU -> conv2.
SiteTable small_resnet() {
  SiteTable sites;
  const SiteId act1 = sites.add("act1", SiteKind::nonlinearity);
  sites.set_input(sites.add("layer1.0.conv1", SiteKind::conv2d, 0), act1);
  const SiteId inner = sites.add("layer1.0.act1", SiteKind::nonlinearity, 0);
  sites.set_input(sites.add("layer1.0.conv2", SiteKind::conv2d, 0), inner);
  sites.set_input(sites.add("layer1.0.downsample.0", SiteKind::conv2d, 0), act1);
  sites.add("layer1.0.act2", SiteKind::nonlinearity, 0);
  return sites;
}

// "site=role:codec" of each coded role, codecs by name.
std::string coded(const Plan& plan, const SiteTable& sites) {
  std::string text;
  for (SiteId id = 0; id < sites.size(); ++id) {
    for (const auto& [role, codec] : plan[id].codes) {
      text += concat(sites[id].name, "=", to_string(role), ":", codec.name, " ");
    }
  }
  return text;
}
std::string coded(const std::string& strategy, const SiteTable& sites) {
  return coded(resolve(strategy, sites, registered()), sites);
}

std::string codec_of(const std::string& strategy) {
  const SiteTable sites = small_vit();
  const Plan plan = resolve(strategy, sites, registered());
  return to_string(plan[sites.find("blocks.0.mlp.fc1")].codes.at(SavedRole::linear_input));
}

std::string error_of(const std::string& strategy, const SiteTable& sites) {
  return tests::usage_error(strategy, sites, registered());
}

TEST_CASE("a layer whose input is the batch of images has nothing to save") {
  SiteTable sites = small_vit();
  const SiteId stem = sites.find("patch_embed.proj");
  sites.set_input(stem, kTheBatch);
  const Plan plan = resolve("dropit:layers=[all;patch_embed.proj]", sites, registered());
  CHECK(plan[stem].codes.empty());
  CHECK(plan[stem].note == "saved 0: still held by the batch of images");
  CHECK(plan[sites.find("blocks.0.mlp.fc1")].codes.size() == 1);
  CHECK(plan.warnings.size() == 1);
}

TEST_CASE("dropit codes the inputs of block layers that nobody else holds") {
  const SiteTable sites = small_vit();
  const Plan plan = resolve("dropit", sites, registered());
  CHECK(coded(plan, sites) ==
        "blocks.0.attn.qkv=linear_input:mink blocks.0.mlp.fc1=linear_input:mink "
        "blocks.0.mlp.fc2=linear_input:mink blocks.1.attn.qkv=linear_input:mink "
        "blocks.1.mlp.fc1=linear_input:mink blocks.1.mlp.fc2=linear_input:mink ");
  CHECK(plan.forward_exact);
  CHECK(plan.strategy ==
        "dropit:gamma=0.9,select=mink,scope=tensor,index=auto,unbiased=no,layers=all,compat=none");
  CHECK(plan[sites.find("blocks.1.attn.proj")].note == "saved 0: still held by blocks.1.attn");
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0] ==
        "strategy 'dropit' leaves inputs alone that are held in full all the same: "
        "blocks.0.attn.proj (by blocks.0.attn), blocks.1.attn.proj (by blocks.1.attn)");
}

TEST_CASE("layers and exclude choose by index and by name") {
  const SiteTable sites = small_vit();
  CHECK(coded("dropit:layers=1,exclude=*.mlp", sites) == "blocks.1.attn.qkv=linear_input:mink ");
  CHECK(coded("dropit:layers=[*.fc1;head]", sites) ==
        "blocks.0.mlp.fc1=linear_input:mink blocks.1.mlp.fc1=linear_input:mink "
        "head=linear_input:mink ");
  CHECK(coded("dropit:layers=patch_embed", sites) == "patch_embed.proj=convolution_input:mink ");
  CHECK(coded("dropit:layers=0.5,exclude=[*.qkv;*.fc1]", sites) ==
        "blocks.1.mlp.fc2=linear_input:mink ");
  CHECK(coded("dropit:gamma=0", sites) == "");
  CHECK(coded("dropit:gamma=0,compat=released", sites) == "");
}

TEST_CASE("a ReLU lets go where all that take its result are coded") {
  const SiteTable sites = small_resnet();
  CHECK(coded("dropit", sites) ==
        "act1=nonlinearity_output:sign layer1.0.conv1=convolution_input:mink "
        "layer1.0.act1=nonlinearity_output:sign layer1.0.conv2=convolution_input:mink "
        "layer1.0.downsample.0=convolution_input:mink ");
  // The shortcut's convolution keeps act1's result, so conv1 would save nothing.
  const Plan plan = resolve("dropit:exclude=*.downsample", sites, registered());
  CHECK(coded(plan, sites) ==
        "layer1.0.act1=nonlinearity_output:sign layer1.0.conv2=convolution_input:mink ");
  CHECK(plan[sites.find("layer1.0.conv1")].note == "saved 0: still held by layer1.0.downsample.0");
  // As released: stored once more.
  CHECK(coded("dropit:compat=released", sites) ==
        "layer1.0.conv1=convolution_input:mink layer1.0.conv2=convolution_input:mink "
        "layer1.0.downsample.0=convolution_input:mink ");
}

TEST_CASE("the index is chosen by the kept part, and the codec is spelled out") {
  CHECK(codec_of("dropit") == "mink:gamma=0.9,scope=tensor,index=block");
  CHECK(codec_of("dropit:gamma=0.5,scope=row") == "mink:gamma=0.5,scope=row,index=mask");
  CHECK(codec_of("dropit:gamma=0.5,index=int32") == "mink:gamma=0.5,scope=tensor,index=int32");
  CHECK(codec_of("dropit:select=random,unbiased=yes") ==
        "random:gamma=0.9,scope=tensor,index=seed,unbiased=yes");
  CHECK(codec_of("dropit:select=random,index=mask") == "random:gamma=0.9,scope=tensor,index=mask");
  CHECK(codec_of("dropit:select=chunk,index=int64") == "chunk:gamma=0.9,scope=tensor,index=int64");
  CHECK(codec_of("dropit:select=nsigma") == "nsigma:gamma=0.9,scope=tensor,index=block");
  CHECK(codec_of("dropit:compat=released") ==
        "mink:gamma=0.9,scope=tensor,index=int32,count=released");
}

TEST_CASE("keys that contradict one another are refused in one sentence") {
  const SiteTable sites = small_vit();
  CHECK(error_of("dropit:index=seed", sites).find("index=seed draws the places again") !=
        std::string::npos);
  CHECK(error_of("dropit:unbiased=yes", sites).find("use select=random") != std::string::npos);
  CHECK(error_of("dropit:select=nsigma,scope=row", sites).find("leave scope out") !=
        std::string::npos);
  for (const char* more : {"select=random", "index=mask", "scope=row"}) {
    CHECK(error_of(concat("dropit:compat=released,", more), sites)
              .find("compat=released is select=mink over the whole tensor with index=int32") !=
          std::string::npos);
  }
  CHECK(error_of("dropit:gamma=1", sites) ==
        "strategy dropit:gamma must be a number in [0, 1), not '1'");
  CHECK(error_of("dropit:layers=*.act", sites).find("finds no linear or convolution") !=
        std::string::npos);
  CHECK(error_of("dropit:exclude=all", sites).find("finds no linear or convolution") !=
        std::string::npos);
  CHECK(error_of("dropit:exclude=*.fc9", sites).starts_with("dropit exclude '*.fc9' names"));
  CHECK(error_of("dropit:layers=blocks.7", sites).starts_with("dropit layers 'blocks.7' names"));
}

TEST_CASE("two claims on one layer name both; on different layers they compose") {
  const SiteTable sites = small_vit();
  const std::string error = error_of("dropit:gamma=0.9+dropit:gamma=0.5,layers=*.fc1", sites);
  CHECK(error.find("gamma=0.9,") != std::string::npos);
  CHECK(error.find("gamma=0.5,") != std::string::npos);
  CHECK(error.find("both claim the code:linear_input of site 'blocks.0.mlp.fc1'") !=
        std::string::npos);
  CHECK(coded("dropit:layers=*.fc1+dropit:select=random,layers=*.fc2", sites) ==
        "blocks.0.mlp.fc1=linear_input:mink blocks.0.mlp.fc2=linear_input:random "
        "blocks.1.mlp.fc1=linear_input:mink blocks.1.mlp.fc2=linear_input:random ");
  const Plan both = resolve("sbp:keep=0.5,layers=all+dropit:layers=*.mlp", sites, registered());
  CHECK(both[sites.find("blocks.0.mlp")].select.has_value());
  CHECK(both[sites.find("blocks.0.mlp.fc1")].codes.size() == 1);
}

TEST_CASE("a count that depends on the data is told") {
  const Plan plan = resolve("dropit:select=nsigma", small_resnet(), registered());
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].starts_with("select=nsigma keeps as much as the data says"));
}

TEST_CASE("codes that save nothing are warned of once") {
  const SiteTable sites = small_vit();
  const Plan plan = resolve("dropit:gamma=0.5,index=int32", sites, registered());
  const auto warnings = size_warnings(plan, 4);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].starts_with("code 'mink:gamma=0.5,scope=tensor,index=int32' saves nothing"));
  CHECK(size_warnings(resolve("dropit:gamma=0.5", sites, registered()), 4).empty());
  CHECK(size_warnings(resolve("dropit", small_resnet(), registered()), 2).empty());
}

}  // namespace
}  // namespace sbp::dropit
