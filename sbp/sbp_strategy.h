// Stochastic backpropagation: gradient flows through a subset of rows only.
#pragma once

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

}  // namespace sbp
