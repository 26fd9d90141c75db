#include "experiments/training/stateful_optimizer.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// A copy of `stored`, on the parameter's device, that lies in memory as its own state would.
at::Tensor state_like(const Parameter& owner, const std::string& name, const at::Tensor& stored) {
  if (stored.sizes() != owner.value.sizes() || stored.scalar_type() != owner.value.scalar_type()) {
    throw Error(concat("loading the optimizer's ", name, " of '", owner.name, "': it is ",
                       stored.toString(), " ", stored.sizes(), " and the parameter is ",
                       owner.value.toString(), " ", owner.value.sizes()));
  }
  return at::empty_like(owner.value.detach()).copy_(stored);
}

// Empty where nothing was stored. Throws Error for half a state.
std::vector<at::Tensor> loaded_state(const Parameter& owner, const std::vector<std::string>& names,
                                     const Optimizer::StoredState& stored) {
  std::vector<at::Tensor> state;
  for (const std::string& name : names) {
    const at::Tensor value = stored(owner, name);
    if (value.defined()) state.push_back(state_like(owner, name, value));
  }
  if (!state.empty() && state.size() != names.size()) {
    throw Error(concat("loading the optimizer's state of '", owner.name, "': it has ", state.size(),
                       " tensors and needs ", names.size()));
  }
  return state;
}

}  // namespace

StatefulOptimizer::StatefulOptimizer(const Spec& spec, const std::vector<Parameter>& parameters,
                                     StateForm form)
    : parameters_(parameters), learning_rate_(spec.real("lr")), form_(std::move(form)) {}

void StatefulOptimizer::step(double learning_rate) {
  update(learning_rate);
  ++steps_;
}

void StatefulOptimizer::zero_grad() {
  for (const Parameter& parameter : parameters_) parameter.value.mutable_grad().reset();
}

void StatefulOptimizer::for_each_state(const VisitState& visit) const {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::vector<at::Tensor> state = state_of(i);
    for (std::size_t j = 0; j < state.size(); ++j) visit(form_.names[j], state[j], parameters_[i]);
  }
}

std::int64_t StatefulOptimizer::steps() const {
  if (!form_.counts_updates) return steps_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (state_of(i).empty() || updates_of(i) == steps_) continue;
    throw Error(concat("the optimizer made ", steps_, " updates and only ", updates_of(i), " of '",
                       parameters_[i].name, "', which had no gradient in the others"));
  }
  return steps_;
}

void StatefulOptimizer::load_state(std::int64_t steps, const StoredState& stored) {
  if (steps_ != 0) throw Error("an optimizer's state loads only before its first update");
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    std::vector<at::Tensor> state = loaded_state(parameters_[i], form_.names, stored);
    if (!state.empty()) set_state(i, std::move(state), steps);
  }
  steps_ = steps;
}

std::vector<std::vector<std::size_t>> decay_groups(const Spec& spec,
                                                   const std::vector<Parameter>& parameters) {
  const bool all = spec.text("decay") == "all";
  std::vector<std::vector<std::size_t>> groups(2);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    groups[all || parameters[i].decays ? 0 : 1].push_back(i);
  }
  return groups;
}

}  // namespace sbp::experiments
