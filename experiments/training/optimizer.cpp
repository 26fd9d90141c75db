#include "experiments/training/optimizer.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include "experiments/runs/catalogue.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

namespace optim = torch::optim;

// A tensor that an optimizer keeps for each parameter. Only those in use are listed.
template <typename State>
struct StateField {
  const char* name;
  at::Tensor& (State::*tensor)();
};

// What of LibTorch's options and state the common code below has to reach.
template <typename Engine>
struct Traits;

template <>
struct Traits<optim::Adam> {
  using Options = optim::AdamOptions;
  using State = optim::AdamParamState;
  static constexpr bool kCountsSteps = true;  // the update depends on its number
};
template <>
struct Traits<optim::AdamW> {
  using Options = optim::AdamWOptions;
  using State = optim::AdamWParamState;
  static constexpr bool kCountsSteps = true;
};
template <>
struct Traits<optim::RMSprop> {
  using Options = optim::RMSpropOptions;
  using State = optim::RMSpropParamState;
  static constexpr bool kCountsSteps = false;
};
template <>
struct Traits<optim::Adagrad> {
  using Options = optim::AdagradOptions;
  using State = optim::AdagradParamState;
  static constexpr bool kCountsSteps = false;  // without lr_decay, which no spec sets
};
template <>
struct Traits<optim::SGD> {
  using Options = optim::SGDOptions;
  using State = optim::SGDParamState;
  static constexpr bool kCountsSteps = false;
};

// Parameters in two groups: those that decay, then those that do not.
std::vector<optim::OptimizerParamGroup> groups_of(const std::vector<Parameter>& parameters,
                                                  bool decay_all) {
  std::vector<at::Tensor> decaying, other;
  for (const Parameter& parameter : parameters) {
    (decay_all || parameter.decays ? decaying : other).push_back(parameter.value);
  }
  return {optim::OptimizerParamGroup(decaying), optim::OptimizerParamGroup(other)};
}

// A copy of `stored` that lies in memory as the parameter's own state would.
at::Tensor state_like(const Parameter& owner, const std::string& name, const at::Tensor& stored) {
  if (stored.sizes() != owner.value.sizes() || stored.scalar_type() != owner.value.scalar_type() ||
      stored.device() != owner.value.device()) {
    throw Error(concat("loading the optimizer's ", name, " of '", owner.name, "': it is ",
                       stored.toString(), " ", stored.sizes(), " on ", stored.device().str(),
                       " and the parameter is ", owner.value.toString(), " ", owner.value.sizes(),
                       " on ", owner.value.device().str()));
  }
  return at::empty_like(owner.value.detach()).copy_(stored);
}

template <typename Engine>
class LibTorchOptimizer : public Optimizer {
 public:
  using Options = typename Traits<Engine>::Options;
  using State = typename Traits<Engine>::State;

  LibTorchOptimizer(const Spec& spec, const Options& options,
                    const std::vector<Parameter>& parameters, std::vector<StateField<State>> fields)
      : parameters_(parameters),
        learning_rate_(spec.real("lr")),
        engine_(groups_of(parameters, spec.text("decay") == "all"), options),
        fields_(std::move(fields)) {
    // Set here and not in the group's own options: there LibTorch takes a value that equals its
    // default for one left out, and puts the optimizer's in its place.
    static_cast<Options&>(engine_.param_groups().at(1).options()).weight_decay(0.0);
  }

  void step(double learning_rate) override {
    for (auto& group : engine_.param_groups()) {
      static_cast<Options&>(group.options()).lr(learning_rate);
    }
    engine_.step();
    ++steps_;
  }

  void zero_grad() override { engine_.zero_grad(/*set_to_none=*/true); }

  void for_each_state(const VisitState& visit) const override {
    for (const Parameter& parameter : parameters_) {
      State* state = state_of(parameter);
      if (state == nullptr) continue;
      for (const auto& [name, tensor] : fields_) visit(name, (state->*tensor)(), parameter);
    }
  }

  std::int64_t steps() const override {
    if constexpr (Traits<Engine>::kCountsSteps) {
      for (const Parameter& parameter : parameters_) {
        const State* state = state_of(parameter);
        if (state == nullptr || state->step() == steps_) continue;
        throw Error(concat("the optimizer made ", steps_, " updates and only ", state->step(),
                           " of '", parameter.name, "', which had no gradient in the others"));
      }
    }
    return steps_;
  }

  void load_state(std::int64_t steps, const StoredState& stored) override {
    if (steps_ != 0) throw Error("an optimizer's state loads only before its first update");
    const c10::NoGradGuard no_grad;
    for (const Parameter& parameter : parameters_) load_parameter(parameter, steps, stored);
    steps_ = steps;
  }

  double learning_rate() const override { return learning_rate_; }

 private:
  State* state_of(const Parameter& parameter) const {
    const auto found = engine_.state().find(parameter.value.unsafeGetTensorImpl());
    return found == engine_.state().end() ? nullptr : static_cast<State*>(found->second.get());
  }

  void load_parameter(const Parameter& owner, std::int64_t steps, const StoredState& stored) {
    auto state = std::make_unique<State>();
    std::size_t found = 0;
    for (const auto& [name, tensor] : fields_) {
      const at::Tensor value = stored(owner, name);
      if (!value.defined()) continue;
      (state.get()->*tensor)() = state_like(owner, name, value);
      ++found;
    }
    if (found == 0) return;
    if (found != fields_.size()) {
      throw Error(concat("loading the optimizer's state of '", owner.name, "': it has ", found,
                         " tensors and needs ", fields_.size()));
    }
    if constexpr (Traits<Engine>::kCountsSteps) state->step(steps);
    engine_.state()[owner.value.unsafeGetTensorImpl()] = std::move(state);
  }

  const std::vector<Parameter>& parameters_;
  double learning_rate_;
  Engine engine_;
  std::vector<StateField<State>> fields_;
  std::int64_t steps_ = 0;
};

// Adam and AdamW: the same keys and the same state.
template <typename Engine>
std::unique_ptr<Optimizer> make_adam(const Spec& spec, const std::vector<Parameter>& parameters) {
  using State = typename Traits<Engine>::State;
  typename Traits<Engine>::Options options(spec.real("lr"));
  options.betas({spec.real("beta1"), spec.real("beta2")})
      .eps(spec.real("eps"))
      .weight_decay(spec.real("weight_decay"));
  return std::make_unique<LibTorchOptimizer<Engine>>(
      spec, options, parameters,
      std::vector<StateField<State>>{{"exp_avg", &State::exp_avg},
                                     {"exp_avg_sq", &State::exp_avg_sq}});
}

std::unique_ptr<Optimizer> make_rmsprop(const Spec& spec,
                                        const std::vector<Parameter>& parameters) {
  using State = optim::RMSpropParamState;
  const bool centered = spec.text("centered") == "true";
  optim::RMSpropOptions options(spec.real("lr"));
  options.alpha(spec.real("alpha"))
      .eps(spec.real("eps"))
      .momentum(spec.real("momentum"))
      .centered(centered)
      .weight_decay(spec.real("weight_decay"));
  std::vector<StateField<State>> fields = {{"square_avg", &State::square_avg}};
  if (options.momentum() > 0) fields.push_back({"momentum_buffer", &State::momentum_buffer});
  if (centered) fields.push_back({"grad_avg", &State::grad_avg});
  return std::make_unique<LibTorchOptimizer<optim::RMSprop>>(spec, options, parameters,
                                                             std::move(fields));
}

std::unique_ptr<Optimizer> make_adagrad(const Spec& spec,
                                        const std::vector<Parameter>& parameters) {
  using State = optim::AdagradParamState;
  optim::AdagradOptions options(spec.real("lr"));
  options.eps(spec.real("eps"))
      .initial_accumulator_value(spec.real("initial"))
      .weight_decay(spec.real("weight_decay"));
  return std::make_unique<LibTorchOptimizer<optim::Adagrad>>(
      spec, options, parameters, std::vector<StateField<State>>{{"sum", &State::sum}});
}

std::unique_ptr<Optimizer> make_sgd(const Spec& spec, const std::vector<Parameter>& parameters) {
  using State = optim::SGDParamState;
  const bool nesterov = spec.text("nesterov") == "true";
  optim::SGDOptions options(spec.real("lr"));
  options.momentum(spec.real("momentum"))
      .nesterov(nesterov)
      .weight_decay(spec.real("weight_decay"));
  if (nesterov && options.momentum() == 0) {
    throw UsageError(
        concat("optimizer '", to_string(spec), "': nesterov=true needs a momentum above 0"));
  }
  std::vector<StateField<State>> fields;
  if (options.momentum() != 0) fields.push_back({"momentum_buffer", &State::momentum_buffer});
  return std::make_unique<LibTorchOptimizer<optim::SGD>>(spec, options, parameters,
                                                         std::move(fields));
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const Spec& spec,
                                          const std::vector<Parameter>& parameters) {
  if (spec.name == "adam") return make_adam<optim::Adam>(spec, parameters);
  if (spec.name == "adamw") return make_adam<optim::AdamW>(spec, parameters);
  if (spec.name == "rmsprop") return make_rmsprop(spec, parameters);
  if (spec.name == "adagrad") return make_adagrad(spec, parameters);
  return make_sgd(spec, parameters);
}

}  // namespace sbp::experiments
