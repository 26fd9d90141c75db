// Learning rate over a training run; LibTorch-free.
#pragma once

#include <cstdint>

namespace sbp::experiments {

struct Schedule {
  enum class Kind { constant, cosine };
  Kind kind = Kind::cosine;
  double peak = 1e-3;
  double minimum = 0.0;           // cosine: reached after the last step
  std::int64_t warmup_steps = 0;  // linear from 0, the peak being reached at its end
  std::int64_t total_steps = 1;

  // Of step `step`, from 0.
  double at(std::int64_t step) const;
};

}  // namespace sbp::experiments
