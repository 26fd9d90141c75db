// Optimizers by spec, over LibTorch's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "experiments/models/model.h"
#include "sbp/base/spec.h"

namespace sbp::experiments {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update with this learning rate.
  virtual void step(double learning_rate) = 0;
  // Drops every gradient (sets it to none).
  virtual void zero_grad() = 0;
  // Every tensor of the optimizer's state, with the parameter it belongs to.
  virtual void for_each_state(
      const std::function<void(const at::Tensor& state, const Parameter& owner)>& visit) const = 0;
  // The spec's learning rate: the peak of a schedule.
  virtual double learning_rate() const = 0;
};

// `parameters` must outlive the optimizer. `spec` is one of optimizer_schemas().
std::unique_ptr<Optimizer> make_optimizer(const Spec& spec,
                                          const std::vector<Parameter>& parameters);

}  // namespace sbp::experiments
