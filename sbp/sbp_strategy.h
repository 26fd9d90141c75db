// Stochastic backpropagation: gradient flows through a subset of rows only.
#pragma once

#include "sbp/plan.h"

namespace sbp {

// `full`: full backward, the baseline; claims nothing.
Strategy full_strategy();

// `sbp`: In-depth SBP (NeurIPS 2022) with the exact forward. A mask keeps rows of the grid; in
// the chosen blocks the MLP (with its norm) and the attention queries carry gradient for kept
// rows only, while shortcuts, keys and values carry it for all.
//
// keep=1 claims nothing: it is the full backward, bit for bit.
Strategy sbp_strategy();

// The blocks that a `layers` value names out of `block_count`: "released" (the last
// round(2/3 block_count), as the papers' ViT: 8 of 12), "all", a range "4-11", a list "[0;2;4]".
// Throws UsageError naming the value and the valid indices.
std::vector<bool> chosen_blocks(std::string_view layers, int block_count);

}  // namespace sbp
