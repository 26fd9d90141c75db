// Who owned what at one moment of a trace.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "profiler/lifetimes.h"
#include "profiler/memory_profile.h"
#include "profiler/ownership.h"

namespace sbp::profiler {

// A dense table of bytes by layer x phase of birth x category.
class Composition {
 public:
  // Of the blocks live after record `index`; of none for an index below 0.
  Composition(std::span<const Block> blocks, std::span<const Owner> owners, std::size_t layer_count,
              std::int64_t index);

  // kNoLayer: outside every layer.
  CategoryBytes by_category(LayerId layer) const;
  CategoryBytes by_category() const;
  // Non-zero cells in the table's order, those outside every layer last.
  std::vector<PeakCell> cells(std::span<const LayerTable::Layer> layers) const;

 private:
  std::int64_t& cell(LayerId layer, std::size_t phase, std::size_t category);
  std::int64_t cell(LayerId layer, std::size_t phase, std::size_t category) const;
  std::size_t offset(LayerId layer, std::size_t phase, std::size_t category) const;

  std::size_t layer_count_;
  std::vector<std::int64_t> bytes_;
};

}  // namespace sbp::profiler
