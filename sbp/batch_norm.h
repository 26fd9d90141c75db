// Batch norm over [batch, channels, height, width], with gradient for all pixels or for kept ones.
#pragma once

#include <ATen/core/Tensor.h>

#include "sbp/row_ops.h"

namespace sbp {

// Each tensor [channels]. Running statistics move by `momentum` towards the batch's mean and
// unbiased variance.
struct BatchNorm {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;
  at::Tensor running_var;
  double momentum = 0.1;
  double epsilon = 1e-5;
};

enum class NormStatistics {
  running,           // of evaluation
  batch,             // of the batch, leaving the running ones alone
  batch_and_update,  // of the batch, moving the running ones
};

// Saves x and, with statistics of the batch, two floats a channel.
//
// `pixels` (not with running statistics) splits the height * width pixels, row-major. The value,
// bit for bit, and the statistics stay those of all pixels. Gradient flows from kept pixels to
// kept pixels: parameter gradients are exact for an output gradient that is zero elsewhere, and
// so is the input's at kept pixels, the means over the full count included; what reaches dropped
// pixels through the statistics is cut. Saves the kept pixels of x. The papers' convolutional
// nets have no batch norm: this rule is ours.
at::Tensor batch_norm(const at::Tensor& x, const BatchNorm& norm, NormStatistics statistics,
                      const StepRows* pixels = nullptr);

}  // namespace sbp
