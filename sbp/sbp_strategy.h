// Stochastic backpropagation: gradient flows through a subset of rows only.
#pragma once

#include <span>

#include "sbp/plan.h"

namespace sbp {

// `full`: full backward, the baseline; claims nothing.
Strategy full_strategy();

// `sbp`: In-depth SBP (NeurIPS 2022) with the exact forward. A mask keeps rows of the grid; in
// the chosen blocks the MLP (with its norm) and the attention queries carry gradient for kept
// rows only, while shortcuts, keys and values carry it for all; so does the linear of a
// downsampling whose next block is chosen. In convolutional nets with batch norm, which the papers
// do not have, the norms of the chosen blocks' branches carry gradient for kept pixels only
// (sbp/batch_norm.h). The mask is drawn at the coarsest grid that drops, and each of its cells is a
// block of cells on finer ones. Throws UsageError where a grid is not a multiple of the coarsest.
//
// keep=1 claims nothing: it is the full backward, bit for bit.
Strategy sbp_strategy();

// The blocks that a `layers` value names: "released", "all", a range "4-11", a list "[0;2;4]".
// Blocks are counted over all stages, whose depths are given. Released: stages of 3-3-9-3 or
// 3-3-27-3 blocks drop in 3-3-6-0 or 3-3-21-0 (the papers' ConvNeXt, In-depth SBP 2022); others
// drop in the last round(2/3 of all) blocks (their ViT: 8 of 12).
// Throws UsageError naming the value and the valid indices.
std::vector<bool> chosen_blocks(std::string_view layers, std::span<const int> stage_depths);

}  // namespace sbp
