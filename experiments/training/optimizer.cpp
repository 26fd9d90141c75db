#include "experiments/training/optimizer.h"

#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include "experiments/runs/catalogue.h"

namespace sbp::experiments {
namespace {

KeySchema rate(std::string key, std::string value, std::string help) {
  return {.key = std::move(key),
          .kind = ValueKind::real,
          .default_value = std::move(value),
          .help = std::move(help),
          .minimum = 0.0,
          .maximum = 1e6};
}

KeySchema decay(std::string key, std::string value, std::string help) {
  KeySchema schema = rate(std::move(key), std::move(value), std::move(help));
  schema.maximum = 1.0;
  schema.open_maximum = true;
  return schema;
}

// Parameters in two groups: those that decay and those that do not.
template <typename Options>
std::vector<torch::optim::OptimizerParamGroup> groups_of(const std::vector<Parameter>& parameters,
                                                         const Options& options) {
  std::vector<at::Tensor> decaying, other;
  for (const Parameter& parameter : parameters) {
    (parameter.decays ? decaying : other).push_back(parameter.value);
  }
  Options no_decay = options;
  no_decay.weight_decay(0.0);
  return {{decaying, std::make_unique<Options>(options)},
          {other, std::make_unique<Options>(no_decay)}};
}

template <typename Engine, typename Options, typename State>
class LibTorchOptimizer : public Optimizer {
 public:
  LibTorchOptimizer(const Options& options, const std::vector<Parameter>& parameters,
                    void (*visit_state)(const State&, const std::function<void(at::Tensor)>&))
      : parameters_(parameters),
        learning_rate_(options.lr()),
        engine_(groups_of(parameters, options), options),
        visit_state_(visit_state) {}

  void step(double learning_rate) override {
    for (auto& group : engine_.param_groups()) {
      static_cast<Options&>(group.options()).lr(learning_rate);
    }
    engine_.step();
  }

  void zero_grad() override { engine_.zero_grad(/*set_to_none=*/true); }

  void for_each_state(
      const std::function<void(const at::Tensor&, const Parameter&)>& visit) const override {
    for (const Parameter& parameter : parameters_) {
      const auto found = engine_.state().find(parameter.value.unsafeGetTensorImpl());
      if (found == engine_.state().end()) continue;
      visit_state_(static_cast<const State&>(*found->second),
                   [&](const at::Tensor& state) { visit(state, parameter); });
    }
  }

  double learning_rate() const override { return learning_rate_; }

 private:
  const std::vector<Parameter>& parameters_;
  double learning_rate_;
  Engine engine_;
  void (*visit_state_)(const State&, const std::function<void(at::Tensor)>&);
};

std::unique_ptr<Optimizer> make_sgd(const Spec& spec, const std::vector<Parameter>& parameters) {
  torch::optim::SGDOptions options(spec.real("lr"));
  options.momentum(spec.real("momentum")).weight_decay(spec.real("weight_decay"));
  using State = torch::optim::SGDParamState;
  return std::make_unique<LibTorchOptimizer<torch::optim::SGD, torch::optim::SGDOptions, State>>(
      options, parameters, [](const State& state, const std::function<void(at::Tensor)>& visit) {
        visit(state.momentum_buffer());
      });
}

std::unique_ptr<Optimizer> make_adamw(const Spec& spec, const std::vector<Parameter>& parameters) {
  torch::optim::AdamWOptions options(spec.real("lr"));
  options.betas({spec.real("beta1"), spec.real("beta2")})
      .eps(spec.real("eps"))
      .weight_decay(spec.real("weight_decay"));
  using State = torch::optim::AdamWParamState;
  return std::make_unique<
      LibTorchOptimizer<torch::optim::AdamW, torch::optim::AdamWOptions, State>>(
      options, parameters, [](const State& state, const std::function<void(at::Tensor)>& visit) {
        visit(state.exp_avg());
        visit(state.exp_avg_sq());
      });
}

}  // namespace

const std::vector<SpecSchema>& optimizer_schemas() {
  static const std::vector<SpecSchema> schemas = {
      {"adamw",
       "AdamW, decoupled weight decay on matrices and kernels only",
       {rate("lr", "0.001", "learning rate (peak of the schedule)"),
        decay("beta1", "0.9", "decay of the first moment"),
        decay("beta2", "0.999", "decay of the second moment"),
        rate("eps", "1e-8", "added to the denominator"),
        rate("weight_decay", "0.05", "decoupled weight decay")}},
      {"sgd",
       "stochastic gradient descent, with momentum",
       {rate("lr", "0.1", "learning rate (peak of the schedule)"),
        rate("momentum", "0", "0: none, and no state"),
        rate("weight_decay", "0", "L2 penalty on matrices and kernels only")}},
  };
  return schemas;
}

std::unique_ptr<Optimizer> make_optimizer(const Spec& spec,
                                          const std::vector<Parameter>& parameters) {
  return spec.name == "sgd" ? make_sgd(spec, parameters) : make_adamw(spec, parameters);
}

}  // namespace sbp::experiments
