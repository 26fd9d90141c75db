#include <doctest/doctest.h>

#include <vector>

#include "profiler/layer_tree.h"

namespace sbp::profiler {
namespace {

using Parents = std::vector<LayerId>;

TEST_CASE("a layer's parent is the nearest dotted prefix in the table") {
  const std::vector<LayerTable::Layer> layers = {
      {"blocks", ""}, {"blocks.1", ""},     {"blocks.1.mlp.fc1", ""}, {"blocks.10", ""},
      {"head", ""},   {"blocks.1.mlp", ""}, {"other.deep.name", ""}};
  CHECK(parents_of(layers) == Parents{kNoLayer, 0, 5, 0, kNoLayer, 1, kNoLayer});
}

TEST_CASE("odd names have no endless ancestry") {
  const std::vector<LayerTable::Layer> layers = {{"", ""},  {".", ""},   {"a", ""},
                                                 {"a", ""}, {"a.b", ""}, {"..", ""}};
  CHECK(parents_of(layers) == Parents{kNoLayer, 0, kNoLayer, kNoLayer, 2, 1});
}

}  // namespace
}  // namespace sbp::profiler
