// Dynamic loss scaling, which keeps small fp16 gradients from becoming zero (Micikevicius et al.,
// "Mixed precision training", 2018, section 3.2).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "experiments/models/model.h"
#include "experiments/training/loss_scale.h"

namespace sbp::experiments {

class LossScaler {
 public:
  // What backward starts from instead of 1: the scale.
  at::Tensor root_gradient(const at::Tensor& loss) const;

  // Divides all gradients by the scale and adapts it: half of it after an overflow, twice after
  // 2000 steps without one. False when some gradient is not finite: there is no update to make.
  // On Meta there is nothing to look at and the answer is true. Throws Error when the scale would
  // become uselessly small, which no training recovers from.
  bool unscale(const std::vector<Parameter>& parameters);

  const LossScale& state() const { return state_; }
  void restore(const LossScale& state) { state_ = state; }

 private:
  void adapt(bool finite);

  LossScale state_;
};

}  // namespace sbp::experiments
