// One parameter's approximate gradient over several masks, against its exact one.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "experiments/fidelity/gradient_sums.h"

namespace sbp::experiments {

struct ParameterScore {
  std::vector<GradientSums> draws;    // one a mask
  std::vector<GradientSums> updates;  // the same for the optimizer's update; or none
  GradientSums mean;                  // of the mean over masks
  double scatter = 0.0;               // sum over masks of |h - mean|^2
};
using GradientScore = std::vector<ParameterScore>;  // index = parameter

// Index = parameter: of one mask.
std::vector<GradientSums> sums_of_draw(const GradientScore& score, std::size_t draw);

// The running mean of tensors of one shape and what is scattered around it, in fp64 (Welford's
// form: tensors that are all equal scatter by exactly 0).
class RunningMean {
 public:
  void add(const at::Tensor& value);
  // fp64; undefined before the first.
  const at::Tensor& mean() const { return mean_; }
  // Sum of |value - mean|^2.
  double scatter() const { return scatter_; }
  std::int64_t count() const { return count_; }

 private:
  at::Tensor mean_;
  double scatter_ = 0.0;
  std::int64_t count_ = 0;
};

// Gathers a parameter's score mask by mask.
class ParameterScorer {
 public:
  // An undefined `h` is zero.
  void add(const at::Tensor& h, const at::Tensor& g);
  void add_update(const at::Tensor& h, const at::Tensor& g);
  ParameterScore finish(const at::Tensor& g) &&;

 private:
  ParameterScore score_;
  RunningMean mean_;
};

// What a strategy that leaves a parameter's gradient as it is scores: `draws` equal gradients.
ParameterScore exact_score(const at::Tensor& g, const at::Tensor& update, std::size_t draws);

}  // namespace sbp::experiments
