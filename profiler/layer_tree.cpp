#include "profiler/layer_tree.h"

#include <cstddef>
#include <string_view>
#include <unordered_map>

namespace sbp::profiler {

std::vector<LayerId> parents_of(std::span<const LayerTable::Layer> layers) {
  std::unordered_map<std::string_view, LayerId> ids;
  for (std::size_t id = 0; id < layers.size(); ++id) {
    ids.emplace(layers[id].name, static_cast<LayerId>(id));
  }
  std::vector<LayerId> parents;
  parents.reserve(layers.size());
  for (const LayerTable::Layer& layer : layers) {
    LayerId parent = kNoLayer;
    std::string_view name = layer.name;
    for (auto dot = name.rfind('.'); dot != name.npos && parent == kNoLayer;
         dot = name.rfind('.')) {
      name = name.substr(0, dot);
      if (const auto found = ids.find(name); found != ids.end()) parent = found->second;
    }
    parents.push_back(parent);
  }
  return parents;
}

}  // namespace sbp::profiler
