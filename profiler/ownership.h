// Who owns each block for its whole life: one category, one phase, one layer.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "profiler/lifetimes.h"
#include "profiler/record.h"

namespace sbp::profiler {

struct Owner {
  LayerId layer = kNoLayer;    // that the bytes are charged to
  LayerId born_in = kNoLayer;  // being computed, forward or backward, when the block was made
  Category category = Category::unknown;
  Phase phase = Phase::setup;
};

// The layer that was being computed when `record` was made: the open layer scope, else the layer
// whose forward made the running node, else none.
LayerId layer_computing(const Record& record, const Lifetimes& lifetimes, std::size_t layer_count);

// One owner a block, decided from everything the whole trace says about it.
//
// Category: the strongest tag (in the order of Category; a save counts as activation), else
//   workspace        made in a convolution, died in the layer scope or node that made it;
//   temporary        died in its op scope: the backward node running at its birth, else the
//                    outermost layer scope open then, else the phase;
//   autograd_detail  born in backward;
//   unknown          the rest, and everything untagged that is older than the first phase.
// Layer: of activations the first saver's; else the tag's; else where the block was born: the
// open layer scope, else the layer whose forward made the running node, else none.
std::vector<Owner> owners_of(std::span<const Record> records, const Lifetimes& lifetimes,
                             std::size_t layer_count);

}  // namespace sbp::profiler
