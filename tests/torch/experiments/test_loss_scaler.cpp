// Loss scaling, and training in 16 bit.
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <cmath>
#include <limits>

#include "experiments/models/mlp.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/train_run.h"
#include "experiments/strategies.h"
#include "experiments/training/loss_scaler.h"
#include "experiments/training/trainer.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

std::vector<Parameter> with_gradients(const std::vector<double>& values) {
  std::vector<Parameter> parameters;
  for (const double value : values) {
    Parameter parameter{"w", at::ones({3}).requires_grad_(true)};
    parameter.value.mutable_grad() = at::full({3}, value);
    parameters.push_back(parameter);
  }
  parameters.push_back({"unused", at::ones({2}).requires_grad_(true)});
  return parameters;
}

TEST_CASE("gradients are divided by the scale, exactly") {
  LossScaler scaler;
  CHECK(scaler.root_gradient(at::ones({})).item<double>() == 65536.0);
  const auto parameters = with_gradients({65536.0, -3.0 * 65536.0, 0.1F});
  CHECK(scaler.unscale(parameters));
  CHECK(parameters[0].value.grad().equal(at::full({3}, 1.0)));
  CHECK(parameters[1].value.grad().equal(at::full({3}, -3.0)));
  CHECK(parameters[2].value.grad().equal(at::full({3}, 0.1F / 65536.0F)));
  CHECK((scaler.state() == LossScale{.scale = 65536.0, .good_steps = 1}));
}

TEST_CASE("one bad gradient halves the scale, 2000 good steps double it") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double bad : {kInfinity, -kInfinity, std::nan("")}) {
    LossScaler scaler;
    scaler.restore({.scale = 1024.0, .good_steps = 1998});
    CHECK_FALSE(scaler.unscale(with_gradients({1.0, bad})));
    CHECK((scaler.state() == LossScale{.scale = 512.0, .good_steps = 0, .skipped_steps = 1}));
    scaler.restore({.scale = 1024.0, .good_steps = 1998});
    CHECK(scaler.unscale(with_gradients({1.0})));
    CHECK(scaler.state().scale == 1024.0);
    CHECK(scaler.unscale(with_gradients({1.0})));
    CHECK((scaler.state() == LossScale{.scale = 2048.0, .good_steps = 0}));
  }
}

TEST_CASE("a scale that cannot help is an error") {
  LossScaler scaler;
  const auto parameters = with_gradients({std::nan("")});
  const auto many = [&] {
    for (int i = 0; i < 100; ++i) scaler.unscale(parameters);
  };
  CHECK_THROWS_AS(many(), Error);
}

TEST_CASE("nothing is looked at on Meta") {
  LossScaler scaler;
  const auto meta = at::dtype(at::kFloat).device(at::kMeta);
  Parameter parameter{"w", at::empty({3}, meta).requires_grad_(true)};
  parameter.value.mutable_grad() = at::empty({3}, meta);
  CHECK(scaler.unscale({parameter}));
  CHECK((scaler.state() == LossScale{}));
}

TEST_CASE("a step that overflows changes no weight and no state, and is counted") {
  constexpr ImageGeometry kInput{1, 2, 2, 3};
  const auto model = make_mlp({.input = kInput, .hidden = 4}, {.seed = 1});
  const Plan plan = full_plan(model->sites());
  KeyedMaskSource masks(1);
  const auto optimizer = make_optimizer(
      parse_spec("adamw:lr=0.1", "optimizer", optimizer_schemas()), model->parameters());
  Trainer trainer(*model, plan, masks, *optimizer, {.precision = {.low = at::kHalf}});
  REQUIRE(trainer.loss_scaler().has_value());
  Batch batch;
  batch.images.assign(8, 1.0F);
  batch.labels = {0, 1};
  batch.size = 2;
  const at::Tensor bias = model->parameters().back().value;
  std::int64_t states = 0;
  const auto count_states = [&] {
    states = 0;
    optimizer->for_each_state(
        [&](const std::string&, const at::Tensor&, const Parameter&) { ++states; });
    return states;
  };

  // The gradient of a logit is some tenths of the scale: more than fp16 holds.
  trainer.loss_scaler()->restore({.scale = 0x1p+20});
  const at::Tensor before = bias.detach().clone();
  CHECK(trainer.step(batch, 0, 0.1).skipped);
  CHECK(bias.equal(before));
  CHECK(count_states() == 0);
  CHECK(overflow_warning(trainer) ==
        "fp16 gradients overflowed: 1 step made no update; the loss scale ended at 524288");
  trainer.loss_scaler()->restore({.scale = 256.0});
  CHECK_FALSE(trainer.step(batch, 1, 0.1).skipped);
  CHECK_FALSE(bias.equal(before));
  CHECK(count_states() > 0);
  CHECK(overflow_warning(trainer).empty());
}

reports::TrainReport train(const std::string& precision, const std::string& strategy = "full") {
  TrainOptions options;
  options.model = "vit:patch=8,dim=16,depth=2,heads=2,image=16,classes=4";
  options.data = "synthetic:samples=64";
  options.strategy = strategy;
  options.optimizer = "adamw:lr=0.003";
  options.schedule = "constant";
  options.batch = 16;
  options.steps = 24;
  options.threads = 1;
  options.precision = precision;
  return run_train(options);
}

double mean_of_last(const std::vector<double>& losses) {
  double sum = 0.0;
  for (std::size_t i = losses.size() - 4; i < losses.size(); ++i) sum += losses[i];
  return sum / 4.0;
}

TEST_CASE("training in 16 bit learns as in fp32") {
  for (const std::string strategy : {"full", "sbp:keep=0.5,layers=all"}) {
    const auto full = train("fp32", strategy);
    const double reached = mean_of_last(full.step_losses);
    CHECK(reached < 0.8 * full.step_losses.front());
    for (const std::string precision : {"bf16", "fp16", "bf16:list=cpu"}) {
      if (strategy != "full" && precision != "bf16") continue;
      CAPTURE(strategy);
      CAPTURE(precision);
      const auto mixed = train(precision, strategy);
      CHECK(mixed.step_losses != full.step_losses);
      CHECK(mixed.step_losses.front() == doctest::Approx(full.step_losses.front()).epsilon(0.01));
      CHECK(mean_of_last(mixed.step_losses) == doctest::Approx(reached).epsilon(0.15));
      REQUIRE(mixed.final_evaluation.has_value());
      CHECK(mixed.final_evaluation->loss ==
            doctest::Approx(full.final_evaluation->loss).epsilon(0.15));
    }
  }
}

}  // namespace
}  // namespace sbp::experiments
