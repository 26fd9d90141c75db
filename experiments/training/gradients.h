// The gradients of a model as a whole. Nothing here reads a value, so all of it runs on Meta.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "experiments/models/model.h"

namespace sbp::experiments {

// Those that there are.
std::vector<at::Tensor> gradients_of(const std::vector<Parameter>& parameters);

// The 2-norm of all gradients together, a scalar on their device; undefined when there is none.
at::Tensor gradient_norm(const std::vector<Parameter>& parameters);

// Scales every gradient in place by maximum / (norm + 1e-6) where that is below 1, as
// torch.nn.utils.clip_grad_norm_ does.
void clip_gradients(const std::vector<Parameter>& parameters, const at::Tensor& norm,
                    double maximum);

// Name of the first parameter with a gradient that is not finite; empty when there is none. Reads
// values: not for Meta.
std::string first_non_finite_gradient(const std::vector<Parameter>& parameters);

}  // namespace sbp::experiments
