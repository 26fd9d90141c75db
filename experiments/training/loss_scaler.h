// Dynamic loss scaling, which keeps small fp16 gradients from becoming zero (Micikevicius et al.,
// "Mixed precision training", 2018, section 3.2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "experiments/models/model.h"

namespace sbp::experiments {

class LossScaler {
 public:
  // All that a resumed run needs.
  struct State {
    double scale = 65536.0;       // a power of two, so that it costs no bit of a gradient
    std::int64_t good_steps = 0;  // since the scale last changed
    std::int64_t skipped_steps = 0;

    bool operator==(const State&) const = default;
  };

  // What backward starts from instead of 1: the scale.
  at::Tensor root_gradient(const at::Tensor& loss) const;

  // Divides all gradients by the scale and adapts it: half of it after an overflow, twice after
  // 2000 steps without one. False when some gradient is not finite: there is no update to make.
  // On Meta there is nothing to look at and the answer is true. Throws Error when the scale would
  // become uselessly small, which no training recovers from.
  bool unscale(const std::vector<Parameter>& parameters);

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  void adapt(bool finite);

  State state_;
};

// Into the scalars of a checkpoint and back; what is missing there stays as it is.
void store(const LossScaler& scaler, std::map<std::string, double>& scalars);
void restore(LossScaler& scaler, const std::map<std::string, double>& scalars);

}  // namespace sbp::experiments
