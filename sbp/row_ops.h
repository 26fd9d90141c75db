// Taking rows out of an activation and putting them back, keeping nothing but the index.
//
// Written as index_copy or index_add, autograd would also save the source: 13.1 units of a block
// instead of 12.1. Shapes: x [batch, rows, ...].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace torch::autograd {
class SavedVariable;
}

namespace sbp {

// One step's split of the rows of a mask group.
struct StepRows {
  // int64 [k], ascending rows; or [batch, k] where each sample has a mask of its own: then
  // positions in [batch * rows].
  at::Tensor kept;
  at::Tensor dropped;  // the same of the others
  // Gradient of kept rows is multiplied by `weight`, but for the first `leading`, which are always
  // kept.
  double weight = 1.0;
  std::int64_t leading = 0;

  bool per_sample() const { return kept.dim() == 2; }
  std::int64_t kept_count() const { return kept.size(-1); }
  std::int64_t rows() const { return kept.size(-1) + dropped.size(-1); }
};

// x[:, index], no history: index as StepRows has it.
at::Tensor select_rows(const at::Tensor& x, const at::Tensor& index);
// The inverse: writes `some` to those rows of `whole`.
void write_rows(const at::Tensor& whole, const at::Tensor& index, const at::Tensor& some);
// [batch, rows, ...], `some` at those rows and zero elsewhere.
at::Tensor spread_rows(const at::Tensor& some, const at::Tensor& index, std::int64_t rows);
// What select_rows(gradient, kept) is worth to the kept rows: times the weight of the split.
at::Tensor select_gradient(const at::Tensor& gradient, const StepRows& rows);

// The kept rows of a split in a backward node's keeping.
class SavedRows {
 public:
  void keep(const StepRows& rows);  // the index, labelled so, and numbers
  StepRows unpack() const;          // without the dropped rows
  std::int64_t rows() const { return rows_; }
  void release() { kept_.reset(); }

 private:
  std::shared_ptr<torch::autograd::SavedVariable> kept_;
  double weight_ = 1.0;
  std::int64_t leading_ = 0, rows_ = 0;
};

// x[:, kept]: [batch, k, ...]. Gradient of the other rows is zero.
at::Tensor take_rows(const at::Tensor& x, const StepRows& rows);

// The inverse split: y with y[:, kept] = kept_rows and y[:, dropped] = dropped_rows. Gradient
// flows to kept_rows only, times the weight of the split.
at::Tensor put_rows(const at::Tensor& kept_rows, const at::Tensor& dropped_rows,
                    const StepRows& rows);

}  // namespace sbp
