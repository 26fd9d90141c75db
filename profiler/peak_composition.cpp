#include "profiler/peak_composition.h"

#include <cstddef>

namespace sbp::profiler {

Composition::Composition(std::span<const Block> blocks, std::span<const Owner> owners,
                         std::size_t layer_count, std::int64_t index)
    : layer_count_(layer_count), bytes_((layer_count + 1) * kPhaseCount * kCategoryCount) {
  for (std::size_t i = 0; i < blocks.size() && blocks[i].birth <= index; ++i) {
    if (blocks[i].death <= index) continue;
    const Owner& owner = owners[i];
    cell(owner.layer, static_cast<std::size_t>(owner.phase),
         static_cast<std::size_t>(owner.category)) += blocks[i].bytes;
  }
}

CategoryBytes Composition::by_category(LayerId layer) const {
  CategoryBytes sums{};
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
    for (std::size_t category = 0; category < kCategoryCount; ++category) {
      sums[category] += cell(layer, phase, category);
    }
  }
  return sums;
}

CategoryBytes Composition::by_category() const {
  CategoryBytes sums{};
  for (std::size_t i = 0; i < bytes_.size(); ++i) sums[i % kCategoryCount] += bytes_[i];
  return sums;
}

std::vector<PeakCell> Composition::cells(std::span<const LayerTable::Layer> layers) const {
  std::vector<PeakCell> result;
  for (std::size_t row = 0; row <= layer_count_; ++row) {
    const bool outside = row == layer_count_;
    const LayerId layer = outside ? kNoLayer : static_cast<LayerId>(row);
    for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
      for (std::size_t category = 0; category < kCategoryCount; ++category) {
        const std::int64_t bytes = cell(layer, phase, category);
        if (bytes == 0) continue;
        result.push_back({outside ? std::string() : layers[row].name, static_cast<Phase>(phase),
                          static_cast<Category>(category), bytes});
      }
    }
  }
  return result;
}

std::int64_t& Composition::cell(LayerId layer, std::size_t phase, std::size_t category) {
  return bytes_[offset(layer, phase, category)];
}

std::int64_t Composition::cell(LayerId layer, std::size_t phase, std::size_t category) const {
  return bytes_[offset(layer, phase, category)];
}

std::size_t Composition::offset(LayerId layer, std::size_t phase, std::size_t category) const {
  const std::size_t row = static_cast<std::size_t>(layer + 1);
  return (row * kPhaseCount + phase) * kCategoryCount + category;
}

}  // namespace sbp::profiler
