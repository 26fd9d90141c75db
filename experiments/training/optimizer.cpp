#include "experiments/training/optimizer.h"

#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include "experiments/runs/catalogue.h"
#include "experiments/training/foreach_optimizer.h"
#include "experiments/training/stateful_optimizer.h"
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

std::vector<optim::OptimizerParamGroup> engine_groups(const Spec& spec,
                                                      const std::vector<Parameter>& parameters) {
  std::vector<optim::OptimizerParamGroup> groups;
  for (const auto& indices : decay_groups(spec, parameters)) {
    std::vector<at::Tensor> values;
    for (const std::size_t index : indices) values.push_back(parameters[index].value);
    groups.emplace_back(values);
  }
  return groups;
}

template <typename State>
StateForm form_of(const std::vector<StateField<State>>& fields, bool counts_updates) {
  StateForm form{.names = {}, .counts_updates = counts_updates};
  for (const StateField<State>& field : fields) form.names.emplace_back(field.name);
  return form;
}

// LibTorch's own loop: one parameter after another.
template <typename Engine>
class LibTorchOptimizer final : public StatefulOptimizer {
 public:
  using Options = typename Traits<Engine>::Options;
  using State = typename Traits<Engine>::State;

  LibTorchOptimizer(const Spec& spec, const Options& options,
                    const std::vector<Parameter>& parameters, std::vector<StateField<State>> fields)
      : StatefulOptimizer(spec, parameters, form_of(fields, Traits<Engine>::kCountsSteps)),
        engine_(engine_groups(spec, parameters), options),
        fields_(std::move(fields)) {
    // Set here and not in the group's own options: there LibTorch takes a value that equals its
    // default for one left out, and puts the optimizer's in its place.
    static_cast<Options&>(engine_.param_groups().at(1).options()).weight_decay(0.0);
  }

 private:
  void update(double learning_rate) override {
    for (auto& group : engine_.param_groups()) {
      static_cast<Options&>(group.options()).lr(learning_rate);
    }
    engine_.step();
  }

  std::vector<at::Tensor> state_of(std::size_t index) const override {
    std::vector<at::Tensor> tensors;
    if (State* state = engine_state(index)) {
      for (const auto& field : fields_) tensors.push_back((state->*field.tensor)());
    }
    return tensors;
  }

  std::int64_t updates_of(std::size_t index) const override {
    if constexpr (Traits<Engine>::kCountsSteps) {
      return engine_state(index)->step();
    } else {
      return 0;
    }
  }

  void set_state(std::size_t index, std::vector<at::Tensor> tensors,
                 std::int64_t updates) override {
    auto state = std::make_unique<State>();
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      (state.get()->*fields_[i].tensor)() = std::move(tensors[i]);
    }
    if constexpr (Traits<Engine>::kCountsSteps) state->step(updates);
    engine_.state()[parameters()[index].value.unsafeGetTensorImpl()] = std::move(state);
  }

  State* engine_state(std::size_t index) const {
    const auto found = engine_.state().find(parameters()[index].value.unsafeGetTensorImpl());
    return found == engine_.state().end() ? nullptr : static_cast<State*>(found->second.get());
  }

  Engine engine_;
  std::vector<StateField<State>> fields_;
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
  std::vector<StateField<State>> fields;
  if (options.momentum() != 0) fields.push_back({"momentum_buffer", &State::momentum_buffer});
  return std::make_unique<LibTorchOptimizer<optim::SGD>>(spec, options, parameters,
                                                         std::move(fields));
}

void check_spec(const Spec& spec) {
  if (spec.name == "sgd" && spec.text("nesterov") == "true" && spec.real("momentum") == 0) {
    throw UsageError(
        concat("optimizer '", to_string(spec), "': nesterov=true needs a momentum above 0"));
  }
}

bool is_foreach(const Spec& spec, const std::vector<Parameter>& parameters) {
  const std::string& loop = spec.text("loop");
  if (loop != "auto") return loop == "foreach";
  return !parameters.empty() && parameters.front().value.is_cuda();
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const Spec& spec,
                                          const std::vector<Parameter>& parameters) {
  check_spec(spec);
  if (is_foreach(spec, parameters)) return make_foreach_optimizer(spec, parameters);
  if (spec.name == "adam") return make_adam<optim::Adam>(spec, parameters);
  if (spec.name == "adamw") return make_adam<optim::AdamW>(spec, parameters);
  if (spec.name == "rmsprop") return make_rmsprop(spec, parameters);
  if (spec.name == "adagrad") return make_adagrad(spec, parameters);
  return make_sgd(spec, parameters);
}

}  // namespace sbp::experiments
