// A whole MLP as one backward node: one forward of all rows, and of kept rows only what backward
// needs, the non-linearity run again.
#pragma once

#include <ATen/core/Tensor.h>

#include "sbp/base/scope.h"
#include "sbp/precision.h"
#include "sbp/row_ops.h"

namespace sbp {

// y = fc2(gelu(fc1(layer_norm(x)))) * scale, weights in the type that the layers compute in.
struct MlpWeights {
  at::Tensor norm_weight, norm_bias;  // [width]
  at::Tensor fc1_weight, fc1_bias;    // [hidden, width], [hidden]
  at::Tensor fc2_weight, fc2_bias;    // [width, hidden], [width]
  at::Tensor scale;                   // [width] (layer scale), or undefined
  double epsilon = 1e-6;
};

// Whose saved bytes are whose.
struct MlpLayers {
  LayerId norm = kNoLayer, fc1 = kNoLayer, act = kNoLayer, fc2 = kNoLayer;
};

// x [batch, rows, width]. The value is the plain MLP's, bit for bit; gradient flows through the
// kept rows of `rows`, or through all where it is null. Saves for them, in units of [batch, k,
// width]: the norm's input 1 and two floats a row, fc1's input 1 and its output (hidden / width);
// the plain MLP keeps fc2's input (hidden / width) and the input of `scale` (1) besides. fc2's
// input is computed again in backward, and the gradient of `scale` follows from that of fc2's
// weight (in 16 bit with its rounding).
at::Tensor mlp_function(const at::Tensor& x, const MlpWeights& weights, const MlpLayers& layers,
                        const StepRows* rows, const Precision& precision);

}  // namespace sbp
