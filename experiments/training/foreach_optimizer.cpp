#include "experiments/training/foreach_optimizer.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "experiments/training/stateful_optimizer.h"

namespace sbp::experiments {
namespace {

using Tensors = std::vector<at::Tensor>;

// The parameters of one group that have a gradient, and what belongs to each, in order.
struct Group {
  Tensors parameters;
  Tensors gradients;
  std::vector<Tensors> states;        // by StateForm::names, then parameter
  std::vector<std::int64_t> updates;  // with this one
  double weight_decay = 0.0;
};

// What one kind of optimizer does. Where a comment says until when a list lives, PyTorch's code
// holds it so long.
class Rule {
 public:
  virtual ~Rule() = default;
  virtual StateForm form() const = 0;
  // Before the first update of `parameter`, in the order of form().names; undefined tensors are
  // left to the update.
  virtual Tensors first_state(const at::Tensor& parameter) const {
    Tensors state;
    for (std::size_t i = 0; i < form().names.size(); ++i) {
      state.push_back(at::zeros_like(parameter));
    }
    return state;
  }
  // Is the state born with the optimizer, and not in the first update?
  virtual bool state_at_once() const { return false; }
  virtual void update(Group& group, double learning_rate) const = 0;
};

// A list of its own where there is decay, else the gradients themselves.
Tensors with_decay(const Group& group) {
  if (group.weight_decay == 0.0) return group.gradients;
  return at::_foreach_add(group.gradients, group.parameters, group.weight_decay);
}

class AdamRule final : public Rule {
 public:
  AdamRule(const Spec& spec, bool decoupled)
      : beta1_(spec.real("beta1")),
        beta2_(spec.real("beta2")),
        eps_(spec.real("eps")),
        decoupled_(decoupled) {}

  StateForm form() const override { return {{"exp_avg", "exp_avg_sq"}, true}; }

  void update(Group& group, double learning_rate) const override {
    Tensors& mean = group.states[0];
    Tensors& square = group.states[1];
    move_moments(group, learning_rate);
    std::vector<at::Scalar> roots;
    std::vector<at::Scalar> steps;
    for (const std::int64_t updates : group.updates) {
      const auto count = static_cast<double>(updates);
      roots.emplace_back(std::sqrt(1.0 - std::pow(beta2_, count)));
      steps.emplace_back(-learning_rate / (1.0 - std::pow(beta1_, count)));
    }
    const Tensors denominators = at::_foreach_sqrt(square);
    at::_foreach_div_(denominators, roots);
    at::_foreach_add_(denominators, eps_);
    at::_foreach_addcdiv_(group.parameters, mean, denominators, steps);
  }

 private:
  // The decayed gradients live to the end of this and no longer.
  void move_moments(Group& group, double learning_rate) const {
    Tensors gradients = group.gradients;
    if (decoupled_ && group.weight_decay != 0.0) {
      at::_foreach_mul_(group.parameters, 1.0 - learning_rate * group.weight_decay);
    } else {
      gradients = with_decay(group);
    }
    at::_foreach_lerp_(group.states[0], gradients, 1.0 - beta1_);
    at::_foreach_mul_(group.states[1], beta2_);
    at::_foreach_addcmul_(group.states[1], gradients, gradients, 1.0 - beta2_);
  }

  double beta1_, beta2_, eps_;
  bool decoupled_;
};

class SgdRule final : public Rule {
 public:
  explicit SgdRule(const Spec& spec)
      : momentum_(spec.real("momentum")), nesterov_(spec.text("nesterov") == "true") {}

  StateForm form() const override {
    return momentum_ == 0.0 ? StateForm{} : StateForm{{"momentum_buffer"}};
  }
  // A copy of the first gradient, which the update makes.
  Tensors first_state(const at::Tensor&) const override { return Tensors(form().names.size()); }

  void update(Group& group, double learning_rate) const override {
    Tensors gradients = with_decay(group);
    if (momentum_ != 0.0) {
      move_buffers(group.states[0], gradients);
      if (nesterov_) {
        at::_foreach_add_(gradients, group.states[0], momentum_);
      } else {
        gradients = group.states[0];  // the decayed gradients end here
      }
    }
    at::_foreach_add_(group.parameters, gradients, -learning_rate);
  }

 private:
  void move_buffers(Tensors& buffers, const Tensors& gradients) const {
    bool all_exist = true;
    for (const at::Tensor& buffer : buffers) all_exist = all_exist && buffer.defined();
    if (all_exist) {
      at::_foreach_mul_(buffers, momentum_);
      at::_foreach_add_(buffers, gradients);
      return;
    }
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      if (buffers[i].defined()) {
        buffers[i].mul_(momentum_).add_(gradients[i]);
      } else {
        buffers[i] = gradients[i].detach().clone();
      }
    }
  }

  double momentum_;
  bool nesterov_;
};

class RmspropRule final : public Rule {
 public:
  explicit RmspropRule(const Spec& spec)
      : alpha_(spec.real("alpha")),
        eps_(spec.real("eps")),
        momentum_(spec.real("momentum")),
        centered_(spec.text("centered") == "true") {}

  StateForm form() const override {
    StateForm form{{"square_avg"}};
    if (momentum_ > 0.0) form.names.emplace_back("momentum_buffer");
    if (centered_) form.names.emplace_back("grad_avg");
    return form;
  }

  // The decayed gradients and the roots both live to the end.
  void update(Group& group, double learning_rate) const override {
    const Tensors gradients = with_decay(group);
    at::_foreach_mul_(group.states[0], alpha_);
    at::_foreach_addcmul_(group.states[0], gradients, gradients, 1.0 - alpha_);
    const Tensors roots = roots_of(group, gradients);
    if (momentum_ > 0.0) {
      at::_foreach_mul_(group.states[1], momentum_);
      at::_foreach_addcdiv_(group.states[1], gradients, roots);
      at::_foreach_add_(group.parameters, group.states[1], -learning_rate);
    } else {
      at::_foreach_addcdiv_(group.parameters, gradients, roots, -learning_rate);
    }
  }

 private:
  Tensors roots_of(Group& group, const Tensors& gradients) const {
    Tensors roots;
    if (centered_) {
      const Tensors& means = group.states.back();
      at::_foreach_lerp_(means, gradients, 1.0 - alpha_);
      roots = at::_foreach_addcmul(group.states[0], means, means, -1.0);
      at::_foreach_sqrt_(roots);
    } else {
      roots = at::_foreach_sqrt(group.states[0]);
    }
    at::_foreach_add_(roots, eps_);
    return roots;
  }

  double alpha_, eps_, momentum_;
  bool centered_;
};

class AdagradRule final : public Rule {
 public:
  explicit AdagradRule(const Spec& spec) : eps_(spec.real("eps")), initial_(spec.real("initial")) {}

  StateForm form() const override { return {{"sum"}}; }
  bool state_at_once() const override { return true; }
  Tensors first_state(const at::Tensor& parameter) const override {
    return {at::full_like(parameter, initial_)};
  }

  // Whatever is made lives to the end.
  void update(Group& group, double learning_rate) const override {
    const Tensors gradients = with_decay(group);
    at::_foreach_addcmul_(group.states[0], gradients, gradients, 1.0);
    const Tensors roots = at::_foreach_sqrt(group.states[0]);
    at::_foreach_add_(roots, eps_);
    const std::vector<at::Scalar> rates(gradients.size(), -learning_rate);
    Tensors numerators = gradients;
    if (group.weight_decay != 0.0) {
      at::_foreach_mul_(numerators, rates);  // a list of its own already
    } else {
      numerators = at::_foreach_mul(gradients, rates);
    }
    at::_foreach_addcdiv_(group.parameters, numerators, roots);
  }

 private:
  double eps_, initial_;
};

class ForeachOptimizer final : public StatefulOptimizer {
 public:
  ForeachOptimizer(const Spec& spec, const std::vector<Parameter>& parameters,
                   std::unique_ptr<Rule> rule)
      : StatefulOptimizer(spec, parameters, rule->form()),
        groups_(decay_groups(spec, parameters)),
        weight_decay_(spec.real("weight_decay")),
        rule_(std::move(rule)),
        states_(parameters.size()),
        updates_(parameters.size(), 0) {
    if (!rule_->state_at_once()) return;
    const c10::NoGradGuard no_grad;
    for (const auto& group : groups_) {
      for (const std::size_t index : group) start(index);
    }
  }

 private:
  void update(double learning_rate) override {
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      std::vector<std::size_t> indices;
      Group group = gather(groups_[i], indices);
      if (indices.empty()) continue;
      group.weight_decay = i == 0 ? weight_decay_ : 0.0;
      rule_->update(group, learning_rate);
      for (std::size_t j = 0; j < indices.size(); ++j) {
        for (std::size_t k = 0; k < group.states.size(); ++k) {
          states_[indices[j]][k] = group.states[k][j];
        }
      }
    }
  }

  // Those of `members` that have a gradient; their `indices`, too. Makes the states that lack.
  Group gather(const std::vector<std::size_t>& members, std::vector<std::size_t>& indices) {
    Group group;
    group.states.resize(form().names.size());
    for (const std::size_t index : members) {
      const at::Tensor& value = parameters()[index].value;
      if (!value.grad().defined()) continue;
      if (states_[index].empty()) start(index);
      indices.push_back(index);
      group.parameters.push_back(value);
      group.gradients.push_back(value.grad());
      group.updates.push_back(++updates_[index]);
      for (std::size_t k = 0; k < group.states.size(); ++k) {
        group.states[k].push_back(states_[index][k]);
      }
    }
    return group;
  }

  void start(std::size_t index) {
    states_[index] = rule_->first_state(parameters()[index].value.detach());
  }

  std::vector<at::Tensor> state_of(std::size_t index) const override { return states_[index]; }
  std::int64_t updates_of(std::size_t index) const override { return updates_[index]; }
  void set_state(std::size_t index, std::vector<at::Tensor> state, std::int64_t updates) override {
    states_[index] = std::move(state);
    updates_[index] = updates;
  }

  std::vector<std::vector<std::size_t>> groups_;  // those that decay, the others
  double weight_decay_;
  std::unique_ptr<Rule> rule_;
  std::vector<Tensors> states_;
  std::vector<std::int64_t> updates_;
};

std::unique_ptr<Rule> make_rule(const Spec& spec) {
  if (spec.name == "adam") return std::make_unique<AdamRule>(spec, /*decoupled=*/false);
  if (spec.name == "adamw") return std::make_unique<AdamRule>(spec, /*decoupled=*/true);
  if (spec.name == "rmsprop") return std::make_unique<RmspropRule>(spec);
  if (spec.name == "adagrad") return std::make_unique<AdagradRule>(spec);
  return std::make_unique<SgdRule>(spec);
}

}  // namespace

std::unique_ptr<Optimizer> make_foreach_optimizer(const Spec& spec,
                                                  const std::vector<Parameter>& parameters) {
  return std::make_unique<ForeachOptimizer>(spec, parameters, make_rule(spec));
}

}  // namespace sbp::experiments
