#include "experiments/fidelity/update_rule.h"

#include <c10/core/GradMode.h>

#include <algorithm>

namespace sbp::experiments {

UpdateRule::UpdateRule(const Spec& spec, const Model& model, const Optimizer& optimizer)
    : spec_(spec), model_(model), optimizer_(optimizer), steps_(optimizer.steps()) {
  states_.resize(model.parameters().size());
  optimizer.for_each_state(
      [this](const std::string& name, const at::Tensor& state, const Parameter& owner) {
        const auto index = static_cast<std::size_t>(&owner - model_.parameters().data());
        states_.at(index).emplace_back(name, state);
      });
}

at::Tensor UpdateRule::update(std::size_t index, const at::Tensor& gradient) const {
  if (!gradient.defined()) return {};
  const c10::NoGradGuard no_grad;
  const Parameter& parameter = model_.parameters().at(index);
  const at::Tensor before = parameter.value.detach().to(at::kDouble);
  // An optimizer of this parameter alone, at the same point of its way.
  std::vector<Parameter> alone = {parameter};
  alone[0].value = before.clone().requires_grad_();
  alone[0].value.mutable_grad() = gradient.to(at::kDouble);
  const std::unique_ptr<Optimizer> twin = make_optimizer(spec_, alone);
  if (steps_ > 0) {
    twin->load_state(steps_, [&](const Parameter&, const std::string& name) {
      const auto& states = states_[index];
      const auto found =
          std::ranges::find_if(states, [&](const auto& state) { return state.first == name; });
      return found == states.end() ? at::Tensor() : found->second.to(at::kDouble);
    });
  }
  twin->step(optimizer_.learning_rate());
  return alone[0].value.detach().sub(before).to(at::kFloat);
}

}  // namespace sbp::experiments
