// The bytes that autograd held when the forward ended: logical, distinct, marginal, index.
#pragma once

#include <span>
#include <vector>

#include "profiler/lifetimes.h"
#include "profiler/memory_profile.h"
#include "profiler/ownership.h"

namespace sbp::profiler {

struct SavedFigures {
  SavedBytes total;                // its marginal bytes are its distinct bytes
  std::vector<SavedBytes> layers;  // index: LayerId; a parent with all below it
  SavedBytes outside;              // saved outside every layer
};

// Saves of parameters, buffers and inputs are left out. `parents` as of parents_of.
SavedFigures saved_figures(std::span<const Save> held, std::span<const Block> blocks,
                           std::span<const Owner> owners, std::span<const LayerId> parents);

}  // namespace sbp::profiler
