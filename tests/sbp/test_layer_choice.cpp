#include <doctest/doctest.h>

#include <algorithm>

#include "sbp/base/error.h"
#include "sbp/layer_choice.h"

namespace sbp {
namespace {

// A stem, blocks of three sites in stages of the given depths, and a head.
SiteTable model_of(const std::vector<int>& depths) {
  SiteTable sites;
  sites.add("stem", SiteKind::conv2d);
  int block = 0;
  for (int stage = 0; stage < std::ssize(depths); ++stage) {
    for (int i = 0; i < depths[static_cast<std::size_t>(stage)]; ++i, ++block) {
      for (const std::string part : {"attn", "mlp.fc1", "mlp.fc2"}) {
        sites.add({.name = concat("blocks.", block, ".", part),
                   .kind = SiteKind::linear,
                   .block = block,
                   .stage = stage});
      }
    }
  }
  sites.add("head.fc", SiteKind::linear);
  return sites;
}

std::string chosen(const std::string& value, const SiteTable& sites) {
  const LayerChoice layers(sites, value, "layers");
  std::string names;
  for (SiteId id = 0; id < sites.size(); ++id) {
    if (layers.has(id)) names += sites[id].name + " ";
  }
  return names;
}

// Chosen blocks, as one sign each.
std::string blocks(const std::string& value, const std::vector<int>& depths) {
  const SiteTable sites = model_of(depths);
  const LayerChoice layers(sites, value, "layers");
  std::string signs(static_cast<std::size_t>(sites.block_count()), '-');
  for (SiteId id = 0; id < sites.size(); ++id) {
    const Site& site = sites[id];
    CHECK((site.block >= 0 || !layers.has(id)));
    if (site.block >= 0 && layers.has(id)) signs[static_cast<std::size_t>(site.block)] = 'x';
  }
  return signs;
}

std::string error_of(const std::string& value, const std::vector<int>& depths) {
  try {
    const SiteTable sites = model_of(depths);
    const LayerChoice layers(sites, value, "sbp layers");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("blocks by word, index, range, list and part") {
  CHECK(blocks("all", {4}) == "xxxx");
  CHECK(blocks("released", {12}) == "----xxxxxxxx");
  CHECK(blocks("released", {4}) == "-xxx");
  CHECK(blocks("released", {1}) == "x");
  CHECK(blocks("4-11", {12}) == blocks("released", {12}));
  CHECK(blocks("[0;2-3]", {5}) == "x-xx-");
  CHECK(blocks("0.5", {5}) == "--xxx");  // round(2.5) = 3
  CHECK(blocks("0.25", {8}) == "------xx");
  CHECK(blocks("1.0", {3}) == "xxx");
  CHECK(blocks("1", {3}) == "-x-");
  CHECK(blocks("[0;0.25]", {4}) == "x--x");
}

TEST_CASE("released layers of the papers' ConvNeXt are lists by stage") {
  CHECK(blocks("released", {3, 3, 9, 3}) == "xxxxxxxxxxxx------");
  CHECK(blocks("released", {3, 3, 27, 3}) == std::string(27, 'x') + std::string(9, '-'));
  CHECK(blocks("released", {1, 2, 2, 1}) == "--xxxx");
}

TEST_CASE("sites by name, and all below a name") {
  const SiteTable sites = model_of({2});
  CHECK(chosen("*.fc1", sites) == "blocks.0.mlp.fc1 blocks.1.mlp.fc1 ");
  CHECK(chosen("blocks.*.attn", sites) == "blocks.0.attn blocks.1.attn ");
  CHECK(chosen("blocks.1", sites) == "blocks.1.attn blocks.1.mlp.fc1 blocks.1.mlp.fc2 ");
  CHECK(chosen("*.mlp", sites) ==
        "blocks.0.mlp.fc1 blocks.0.mlp.fc2 blocks.1.mlp.fc1 blocks.1.mlp.fc2 ");
  CHECK(chosen("[stem;head;0]", sites) ==
        "stem blocks.0.attn blocks.0.mlp.fc1 blocks.0.mlp.fc2 head.fc ");
  CHECK(chosen("*", sites) == "stem " + chosen("all", sites) + "head.fc ");
  CHECK(chosen("b*k*.0.*1", sites) == "blocks.0.mlp.fc1 ");
  CHECK(chosen("blocks.0.mlp.fc1", sites) == "blocks.0.mlp.fc1 ");
}

TEST_CASE("what is not there is said with what is") {
  const std::string names = "stem, blocks.*.attn, blocks.*.mlp.fc1, blocks.*.mlp.fc2, head.fc";
  CHECK(error_of("*.fc3", {2}) ==
        "sbp layers '*.fc3' names '*.fc3', which is none of all, released, a range such as 4-11, a "
        "part such as 0.5 or a name of this model: " +
            names);
  CHECK(error_of("[all;blocks.2]", {2})
            .starts_with("sbp layers '[all;blocks.2]' names 'blocks.2', which is none of"));
  CHECK(error_of("blocks.0.mlp.fc", {2}).ends_with(names));  // begins a name, is none
  CHECK(error_of("ocks.0", {2}).ends_with(names));
  CHECK(error_of("1-5", {3}) == "sbp layers '1-5' names a block outside 0-2");
  CHECK(error_of("0", {}) == "sbp layers '0' names a block, and this model has none");
  CHECK(error_of("2-1", {3}).find("is not a range") != std::string::npos);
  CHECK(error_of("0.1", {3}) == "sbp layers '0.1' is none of 3 blocks; use a larger part");
  CHECK(error_of("1.5", {3}).find("write 0.5 for the last half") != std::string::npos);
  CHECK(error_of("0.5.5", {3}).find("write 0.5 for the last half") != std::string::npos);
  CHECK(error_of("[0;]", {3}).find("is not a list") != std::string::npos);
}

}  // namespace
}  // namespace sbp
