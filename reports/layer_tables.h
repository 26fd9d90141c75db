// The layers of a profile as tables of text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiler/memory_profile.h"
#include "profiler/predict/prediction.h"

namespace sbp::reports {

// One a block and a layer outside every block, in forward order. Bytes at the peak include what
// lies below a block, so they sum to the peak; distinct bytes may sum to more than the total, which
// counts a storage that two blocks save once.
std::vector<profiler::LayerMemory> block_units(const profiler::MemoryProfile& memory);
// The same of a prediction: the bytes of a block are those of all below it.
std::vector<predict::LayerBytes> block_units(const predict::Prediction& prediction);
// Requested bytes of all layers.
profiler::CategoryBytes requested_by_category(const predict::Prediction& prediction);
// One row each, and their sum.
std::string blocks_text(const profiler::MemoryProfile& memory);

// The `top` layers that own most at the peak themselves (children apart), or all in forward order
// when `top` is 0.
std::string layers_text(const profiler::MemoryProfile& memory, std::int64_t top);

}  // namespace sbp::reports
