// What must be equal, bit for bit or to rounding.
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "experiments/models/vit.h"
#include "experiments/runs/train_run.h"
#include "experiments/strategies.h"
#include "sbp/execution.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

struct Pass {
  at::Tensor logits;
  std::vector<at::Tensor> gradients;
};

Pass run_pass(const std::string& strategy, bool fused, at::ScalarType dtype, bool training = true) {
  const auto model = make_vit({.image = 32,
                               .patch = 4,
                               .dim = 24,
                               .depth = 3,
                               .heads = 3,
                               .classes = 10,
                               .fused_attention = fused},
                              {.dtype = dtype, .seed = 3});
  const Plan plan = resolve(strategy, model->sites(), strategies());
  KeyedMaskSource masks(9);
  Execution run(model->sites(), plan, masks);
  run.begin_step({.training = training, .batch = 4});
  at::manual_seed(1);
  const at::Tensor images = at::randn({4, 3, 32, 32}, at::dtype(dtype));
  const at::Tensor labels = at::randint(10, {4}, at::dtype(at::kLong));
  Pass pass{model->forward(run, images), {}};
  torch::autograd::backward({at::cross_entropy_loss(pass.logits, labels)});
  for (const Parameter& parameter : model->parameters()) {
    pass.gradients.push_back(parameter.value.grad());
  }
  return pass;
}

TEST_CASE("keep 1 is the full backward, bit for bit") {
  for (const bool fused : {false, true}) {
    const Pass full = run_pass("full", fused, at::kFloat);
    const Pass kept = run_pass("sbp:keep=1,layers=all", fused, at::kFloat);
    CHECK(full.logits.equal(kept.logits));
    REQUIRE(full.gradients.size() == kept.gradients.size());
    for (std::size_t i = 0; i < full.gradients.size(); ++i) {
      CHECK(full.gradients[i].equal(kept.gradients[i]));
    }
  }
  const auto full = tests::measure({.strategy = "full"});
  const auto kept = tests::measure({.strategy = "sbp:keep=1"});
  CHECK(full.memory.saved == kept.memory.saved);
  CHECK(full.memory.peak.bytes == kept.memory.peak.bytes);
  CHECK(full.loss == kept.loss);
}

TEST_CASE("the forward of sbp is exact, its gradient is not") {
  for (const bool fused : {false, true}) {
    for (const std::string strategy :
         {"sbp:keep=0.5,layers=all", "sbp:keep=0.25,mask=random,layers=all,proj=all",
          "sbp:keep=0.6,mask=exact,share=none,layers=all",
          "sbp:keep=0.3,mask=stratified,share=layer,unbiased=yes,mlp=recompute",
          "sbp:attention=qkv_exact,layers=all", "sbp:attention=head,layers=all",
          "sbp:keep=0.75..0.25,mask=exact,layers=all"}) {
      CAPTURE(strategy);
      const Pass full = run_pass("full", fused, at::kDouble);
      const Pass dropped = run_pass(strategy, fused, at::kDouble);
      const double scale = full.logits.abs().max().item<double>();
      CHECK(full.logits.sub(dropped.logits).abs().max().item<double>() <= 1e-12 * scale);
      bool differs = false;
      for (std::size_t i = 0; i < full.gradients.size(); ++i) {
        differs = differs || !full.gradients[i].allclose(dropped.gradients[i], 1e-3, 1e-9);
      }
      CHECK(differs);
    }
  }
}

// The largest difference of two passes, over the largest value of each tensor.
double difference(const Pass& one, const Pass& other) {
  const auto relative = [](const at::Tensor& a, const at::Tensor& b) {
    return a.sub(b).abs().max().item<double>() / std::max(1e-300, b.abs().max().item<double>());
  };
  double worst = relative(one.logits, other.logits);
  for (std::size_t i = 0; i < one.gradients.size(); ++i) {
    worst = std::max(worst, relative(one.gradients[i], other.gradients[i]));
  }
  return worst;
}

TEST_CASE("with qkv, rows that departed were dead: logits and gradients are those with them") {
  for (const bool fused : {false, true}) {
    for (const std::string rest :
         {"keep=0.5,layers=all", "keep=0.25,layers=1-2", "keep=0.5,mask=random,layers=2",
          "keep=0.5,layers=all,mlp=off"}) {
      CAPTURE(rest);
      const std::string text = "sbp:attention=qkv," + rest;
      const Pass departed = run_pass(text, fused, at::kDouble);
      const bool no_mlp = rest.ends_with("mlp=off");
      const Pass released =
          run_pass(text + ",compat=released" + (no_mlp ? "" : ",mlp=store"), fused, at::kDouble);
      const Pass full = run_pass("full", fused, at::kDouble);
      CHECK(difference(departed, released) <= 1e-12);
      const Pass whole = run_pass(text + ",compat=released,inputs=all", fused, at::kDouble);
      CHECK(difference(whole, released) <= 1e-12);
      CHECK(difference(departed, full) > 1e-3);
    }
  }
}

TEST_CASE("how kept rows are kept changes no gradient") {
  for (const bool fused : {false, true}) {
    for (const std::string attention : {"query", "qkv", "qkv_exact", "head", "none"}) {
      const std::string text = "sbp:layers=0-1,attention=" + attention;
      CAPTURE(text);
      const Pass stored = run_pass(text + ",mlp=store", fused, at::kDouble);
      const Pass again = run_pass(text + ",mlp=recompute", fused, at::kDouble);
      CHECK(difference(again, stored) == 0.0);
      CHECK(difference(run_pass(text + ",mlp=function", fused, at::kDouble), stored) <= 1e-12);
      // Without recording qkv_exact is the plain attention, whose keys stand in another order.
      const double rounding = attention == "qkv_exact" ? 1e-12 : 0.0;
      CHECK(difference(run_pass(text + ",mlp=store+recompute", fused, at::kDouble), stored) <=
            rounding);
    }
    const Pass full = run_pass("full", fused, at::kFloat);
    CHECK(difference(run_pass("recompute", fused, at::kFloat), full) == 0.0);
    CHECK(difference(run_pass("recompute:part=mlp", fused, at::kFloat), full) == 0.0);
  }
  const Pass exact = run_pass("full", false, at::kDouble);
  CHECK(difference(run_pass("recompute:part=activation", false, at::kDouble), exact) <= 1e-12);
}

TEST_CASE("compat=released masks in evaluation too, and qkv's value then changes") {
  const Pass full = run_pass("full", false, at::kDouble, false);
  const auto evaluated = [](const std::string& text) {
    return run_pass(text, false, at::kDouble, false);
  };
  CHECK(difference(evaluated("sbp:attention=qkv,layers=all"), full) == 0.0);
  CHECK(difference(evaluated("sbp:attention=qkv,layers=all,compat=released"), full) > 1e-3);
}

TEST_CASE("evaluation takes the plain path, bit for bit") {
  const Pass full = run_pass("full", false, at::kFloat);
  const Pass evaluated = run_pass("sbp:keep=0.25,layers=all", false, at::kFloat, false);
  CHECK(full.logits.equal(evaluated.logits));
  for (std::size_t i = 0; i < full.gradients.size(); ++i) {
    CHECK(full.gradients[i].equal(evaluated.gradients[i]));
  }
}

TEST_CASE("training with keep 1 gives the losses of full, and a seed repeats itself") {
  const auto losses = [](const std::string& strategy, std::uint64_t seed) {
    TrainOptions options;
    options.model = "vit:patch=8,dim=16,depth=2,heads=2,image=16,classes=4";
    options.data = "synthetic:samples=64";
    options.strategy = strategy;
    options.batch = 8;
    options.steps = 12;
    options.seed = seed;
    options.threads = 1;
    return run_train(options).step_losses;
  };
  const auto full = losses("full", 1);
  REQUIRE(full.size() == 12);
  CHECK(full == losses("sbp:keep=1,layers=all", 1));
  CHECK(full == losses("full", 1));
  CHECK(full != losses("full", 2));
  CHECK(full != losses("sbp:keep=0.5,layers=all", 1));
}

TEST_CASE("tracing a step does not change it") {
  TrainOptions options;
  options.model = "vit:patch=8,dim=16,depth=2,heads=2,image=16,classes=4";
  options.data = "synthetic:samples=64";
  options.strategy = "sbp:keep=0.5,layers=all";
  options.steps = 6;
  options.threads = 1;
  const auto traced = run_train(options);
  options.profile_step = false;
  const auto untraced = run_train(options);
  CHECK(traced.step_losses == untraced.step_losses);
  CHECK(traced.memory.has_value());
  CHECK_FALSE(untraced.memory.has_value());
}

}  // namespace
}  // namespace sbp::experiments
