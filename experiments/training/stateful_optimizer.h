// What the optimizers share: how their state is shown, counted and loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/training/optimizer.h"

namespace sbp::experiments {

// What an optimizer keeps for each parameter.
struct StateForm {
  std::vector<std::string> names;  // PyTorch's; only of tensors in use
  bool counts_updates = false;     // an update depends on how many were made before
};

class StatefulOptimizer : public Optimizer {
 public:
  StatefulOptimizer(const Spec& spec, const std::vector<Parameter>& parameters, StateForm form);

  void step(double learning_rate) final;
  void zero_grad() final;
  void for_each_state(const VisitState& visit) const final;
  std::int64_t steps() const final;
  void load_state(std::int64_t steps, const StoredState& stored) final;
  double learning_rate() const final { return learning_rate_; }

 protected:
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const StateForm& form() const { return form_; }

  virtual void update(double learning_rate) = 0;
  // Of parameter `index`, in the order of form().names; empty where there is none yet.
  virtual std::vector<at::Tensor> state_of(std::size_t index) const = 0;
  // How many updates that state has seen. Asked only where there is one and updates are counted.
  virtual std::int64_t updates_of(std::size_t index) const = 0;
  virtual void set_state(std::size_t index, std::vector<at::Tensor> state,
                         std::int64_t updates) = 0;

 private:
  const std::vector<Parameter>& parameters_;
  double learning_rate_;
  StateForm form_;
  std::int64_t steps_ = 0;
};

// Indices of `parameters` in two groups: those that decay, then those that do not. Each group is
// updated as a whole.
std::vector<std::vector<std::size_t>> decay_groups(const Spec& spec,
                                                   const std::vector<Parameter>& parameters);

}  // namespace sbp::experiments
