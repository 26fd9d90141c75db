// A split of rows in a backward node's keeping.
#pragma once

#include <torch/csrc/autograd/saved_variable.h>

#include "sbp/row_ops.h"

namespace sbp {

class SavedRows {
 public:
  // Keeps the kept rows' index (labelled so) and numbers.
  void keep(const StepRows& rows);
  // With the kept rows only.
  StepRows unpack() const;
  std::int64_t rows() const { return rows_; }
  void release() { kept_.reset_data(); }

 private:
  torch::autograd::SavedVariable kept_;
  double weight_ = 1.0;
  std::int64_t leading_ = 0, rows_ = 0;
};

}  // namespace sbp
