#include <ATen/ops/full.h>

#include "experiments/runs/catalogue.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/schedule.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

std::vector<Parameter> two_parameters() {
  std::vector<Parameter> parameters;
  for (const bool decays : {true, false}) {
    at::Tensor value = at::full({2}, 1.0, at::dtype(at::kFloat)).requires_grad_(true);
    value.mutable_grad() = at::full({2}, 0.5, at::dtype(at::kFloat));
    parameters.push_back({decays ? "weight" : "bias", value, 0, decays});
  }
  return parameters;
}

std::int64_t state_elements(const Optimizer& optimizer) {
  std::int64_t count = 0;
  optimizer.for_each_state([&](const at::Tensor& state, const Parameter&) {
    if (state.defined()) count += state.numel();
  });
  return count;
}

TEST_CASE("AdamW's first step moves by the learning rate, decay on matrices only") {
  const std::vector<Parameter> parameters = two_parameters();
  const auto optimizer = make_optimizer(
      parse_spec("adamw:lr=0.1,weight_decay=0.5", "optimizer", optimizer_schemas()), parameters);
  CHECK(optimizer->learning_rate() == 0.1);
  CHECK(state_elements(*optimizer) == 0);
  optimizer->step(0.1);
  // Bias-corrected moments of the first step: g / |g| = 1, up to eps.
  CHECK(parameters[0].value[0].item<double>() == doctest::Approx(1.0 - 0.1 * 0.5 - 0.1));
  CHECK(parameters[1].value[0].item<double>() == doctest::Approx(1.0 - 0.1));
  CHECK(state_elements(*optimizer) == 8);  // two moments of two parameters of two
  optimizer->zero_grad();
  CHECK_FALSE(parameters[0].value.grad().defined());
}

TEST_CASE("SGD keeps no state without momentum") {
  const std::vector<Parameter> parameters = two_parameters();
  const auto plain =
      make_optimizer(parse_spec("sgd", "optimizer", optimizer_schemas()), parameters);
  plain->step(0.2);
  CHECK(parameters[0].value[0].item<double>() == doctest::Approx(1.0 - 0.2 * 0.5));
  CHECK(state_elements(*plain) == 0);
  const auto heavy =
      make_optimizer(parse_spec("sgd:momentum=0.9", "optimizer", optimizer_schemas()), parameters);
  heavy->step(0.2);
  CHECK(state_elements(*heavy) == 4);
}

TEST_CASE("a cosine schedule rises linearly and ends near its minimum") {
  const Schedule schedule{.peak = 1.0, .minimum = 0.1, .warmup_steps = 4, .total_steps = 24};
  CHECK(schedule.at(0) == doctest::Approx(0.25));
  CHECK(schedule.at(3) == doctest::Approx(1.0));
  CHECK(schedule.at(4) == doctest::Approx(1.0));
  CHECK(schedule.at(14) == doctest::Approx(0.55));
  CHECK(schedule.at(24) == doctest::Approx(0.1));
  const Schedule constant{.kind = Schedule::Kind::constant, .peak = 0.3, .total_steps = 9};
  CHECK(constant.at(8) == 0.3);
}

}  // namespace
}  // namespace sbp::experiments
