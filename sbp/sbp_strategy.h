// Stochastic backpropagation: gradient flows through a subset of rows only.
#pragma once

#include "sbp/plan.h"

namespace sbp {

// `full`: full backward, the baseline; claims nothing.
Strategy full_strategy();

// `sbp`: In-depth SBP (NeurIPS 2022), by default with the exact forward. A mask keeps rows of the
// grid; in the chosen blocks the MLP (with its norm) and the attention carry gradient for kept rows
// only, while shortcuts carry it for all; so does the linear of a downsampling whose next block is
// chosen. What of an attention drops is `AttentionPath`. In convolutional nets with batch norm,
// which the papers do not have, the norms of the chosen blocks' branches carry gradient for kept
// pixels only (sbp/batch_norm.h). A shared mask is drawn at the coarsest grid that drops, and each
// of its cells is a block of cells on finer ones. Throws UsageError where a grid is not a multiple
// of the coarsest.
//
// With attention=qkv and a head that reads leading rows only, rows that the last blocks drop are
// read by nobody: they leave the sequence, and the logits are the same.
//
// keep=1 claims nothing: it is the full backward, bit for bit.
Strategy sbp_strategy();

// Of a `keep` value the ratio of each of `blocks` blocks: one number for all, a list of one each,
// or a ramp "0.25..0.75" from the first to the last. Throws UsageError naming the value.
std::vector<double> parse_keep_ratios(std::string_view text, std::size_t blocks);

}  // namespace sbp
