// softmax(scale q k^T) v, with gradient for all query rows or for kept ones only.
//
// q, k, v: [batch, rows, heads, head_dim], usually views of one packed projection. Results:
// [batch, rows, heads * head_dim].
#pragma once

#include <ATen/core/Tensor.h>

#include "sbp/precision.h"
#include "sbp/row_ops.h"

namespace sbp {

struct AttentionInputs {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
  double scale = 1.0;
  // eager: the attention map is saved (a head's rows x rows). fused: the flash kernel, which
  // saves row sums instead; one op and one saved set on every device.
  bool fused = false;
};

// Saves, in units of [batch, rows, heads * head_dim]: eager q, k, v (copies) 3 and the map;
// fused the packed projection 3, the output 1 (shared with the projection's input), row sums.
// 16-bit eager attention by CUDA's list keeps the map twice, in fp32 and in 16 bit.
at::Tensor attend(const AttentionInputs& inputs, const Precision& precision);

struct AttentionRows {
  at::Tensor kept;     // [batch, k, heads * head_dim]
  at::Tensor dropped;  // [batch, rows - k, heads * head_dim], without gradient
};

// The same values, split by query row. Gradient flows from kept rows to their queries and to all
// keys and values. Saves k and v in full (2 units) and the rest for kept rows only.
AttentionRows attend_kept_queries(const AttentionInputs& inputs, const StepRows& rows,
                                  const Precision& precision);

// Of rows that are split already. Dropped rows attend to all and carry no gradient. Kept ones
// attend to kept ones only (In-depth SBP 2022, option qkv), or to all where `sees_dropped`: then
// their value is that of `attend`, keys and values of dropped rows without gradient (2 units).
AttentionRows attend_split(const AttentionInputs& kept, const AttentionInputs& dropped,
                           bool sees_dropped, const Precision& precision);

// The value of `attend`; `heads` splits the heads, and only kept ones carry gradient (In-depth
// SBP 2022, option head). Saves what `attend` does for kept heads, and its result.
at::Tensor attend_kept_heads(const AttentionInputs& inputs, const StepRows& heads,
                             const Precision& precision);

}  // namespace sbp
