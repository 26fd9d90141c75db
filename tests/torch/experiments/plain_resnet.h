// torchvision's residual network in plain operators, with its in-place ReLU and sum: what our
// model is compared with.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "experiments/models/resnet.h"

namespace sbp::tests {

// Tensors by torchvision's names.
using NamedTensors = std::map<std::string, at::Tensor>;

// Parameters and buffers of `model`, copied; parameters require gradient.
NamedTensors copy_tensors(const experiments::Model& model);

// Batch norm in training: moves the running statistics in `tensors`.
at::Tensor plain_resnet(const NamedTensors& tensors, const experiments::ResNetOptions& options,
                        const at::Tensor& images);

}  // namespace sbp::tests
