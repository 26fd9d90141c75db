// Looks into a step from inside, to measure what a strategy costs. Layers and strategies never
// learn of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "sbp/site.h"

namespace sbp {

// A layer whose weight gradient is a function of its input and of its output's gradient alone.
struct WeightUse {
  SiteId site = -1;
  at::Tensor weight;  // the model's parameter
  at::Tensor input;   // what the layer would have coded: in the precision it computes in
  at::Tensor output;
  // Of the layer's weight, in the type it computes in; without recording.
  std::function<at::Tensor(const at::Tensor& input, const at::Tensor& output_gradient)> gradient;
};

class StepObserver {
 public:
  enum class Side { input, output };

  virtual ~StepObserver() = default;
  // The input or the output of a residual or positionwise site that lies within no other one, in
  // forward order. What is returned takes its place.
  virtual at::Tensor crossed(SiteId site, Side side, const at::Tensor& x) {
    (void)site;
    (void)side;
    return x;
  }
  // A linear or convolution has run, with gradients recorded and its input kept exactly.
  virtual void used(const WeightUse& use) { (void)use; }
};

}  // namespace sbp
