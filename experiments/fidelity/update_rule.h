// What the optimizer would change a parameter by.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "experiments/models/model.h"
#include "experiments/training/optimizer.h"
#include "sbp/base/spec.h"

namespace sbp::experiments {

class UpdateRule {
 public:
  // All must outlive it. `optimizer`: made from `spec`, over the model's parameters; its state is
  // read, not changed.
  UpdateRule(const Spec& spec, const Model& model, const Optimizer& optimizer);

  // The change of parameter `index` by the next update with this gradient, momentum and weight
  // decay included, clipping not. Reckoned in fp64, where a small change of a large weight is not
  // lost, and given in fp32. An undefined gradient: undefined (the optimizer leaves the parameter
  // alone).
  at::Tensor update(std::size_t index, const at::Tensor& gradient) const;

 private:
  const Spec& spec_;
  const Model& model_;
  const Optimizer& optimizer_;
  std::int64_t steps_;
  // Index = parameter: the optimizer's tensors by name.
  std::vector<std::vector<std::pair<std::string, at::Tensor>>> states_;
};

}  // namespace sbp::experiments
