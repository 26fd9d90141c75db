// Taking rows out of an activation and putting them back, keeping nothing but the index.
//
// Written as index_copy or index_add, autograd would also save the source: 13.1 units of a block
// instead of 12.1. Shapes: x [batch, rows, ...]; indices int64 [k], ascending.
#pragma once

#include <ATen/core/Tensor.h>

namespace sbp {

// One step's split of the rows of a mask group.
struct StepRows {
  at::Tensor kept;     // int64 [k]
  at::Tensor dropped;  // int64 [rows - k]
  std::int64_t rows() const { return kept.size(0) + dropped.size(0); }
};

// x[:, kept]: [batch, k, ...]. Gradient of the other rows is zero.
at::Tensor take_rows(const at::Tensor& x, const at::Tensor& kept);

// The inverse split: y with y[:, kept] = kept_rows and y[:, dropped] = dropped_rows. Gradient
// flows to kept_rows only.
at::Tensor put_rows(const at::Tensor& kept_rows, const at::Tensor& dropped_rows,
                    const StepRows& rows);

}  // namespace sbp
