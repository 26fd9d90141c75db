// DropIT: layers keep some elements of their input for the weight gradient. LibTorch-free.
#pragma once

#include <string>
#include <vector>

#include "sbp/plan.h"

namespace sbp::dropit {

// `dropit` (ICLR 2023, arXiv 2202.13808) codes the inputs of linears and convolutions: the forward
// value and the gradients of inputs and biases stay exact. By default those of all blocks; stem and
// head are reached by their names (`layers=*`).
//
// An input that is another layer's saved result frees nothing unless that layer lets go too. A
// ReLU does so where all layers that take its result are coded: it then keeps a bit an element.
// Where the result is held all the same, the layer is left alone and the plan says by whom. With
// compat=released nothing of this is done: what is held elsewhere is stored twice.
//
// gamma=0 claims nothing: it is the full backward, bit for bit.
Strategy dropit_strategy();

// Sentences about codes of a plan that take as much as what they stand for, where inputs have
// elements of `value_bytes` each.
std::vector<std::string> size_warnings(const Plan& plan, int value_bytes);

}  // namespace sbp::dropit
