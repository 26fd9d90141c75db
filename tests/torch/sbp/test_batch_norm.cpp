// Batch norm: kept pixels against autograd of the definition, and the rule of its statistics.
#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "sbp/base/error.h"
#include "sbp/batch_norm.h"
#include "sbp/execution.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp {
namespace {

constexpr std::int64_t kBatch = 3, kChannels = 4, kHeight = 2, kWidth = 3;

at::Tensor index(std::vector<std::int64_t> values) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::dtype(at::kLong));
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

StepRows some_pixels() {
  return {index({0, 2, 4}), index({1, 3, 5})};
}

BatchNorm make_norm(at::ScalarType dtype) {
  const auto options = at::dtype(dtype);
  return {.weight = at::rand({kChannels}, options).add_(0.5).requires_grad_(true),
          .bias = at::randn({kChannels}, options).requires_grad_(true),
          .running_mean = at::zeros({kChannels}, options),
          .running_var = at::ones({kChannels}, options)};
}

at::Tensor make_input(at::ScalarType dtype) {
  return at::randn({kBatch, kChannels, kHeight, kWidth}, at::dtype(dtype)).mul_(2.0).add_(1.0);
}

// One at kept pixels, zero at dropped ones.
at::Tensor pixel_mask(at::ScalarType dtype) {
  at::Tensor mask = at::zeros({kHeight * kWidth}, at::dtype(dtype));
  mask.index_fill_(0, some_pixels().kept, 1.0);
  return mask.view({1, 1, kHeight, kWidth});
}

// (x - mean) / sqrt(variance + epsilon) * weight + bias, in plain differentiable operators.
at::Tensor by_definition(const at::Tensor& x, const BatchNorm& norm) {
  const at::Tensor mean = x.mean({0, 2, 3}, true);
  const at::Tensor variance = x.sub(mean).square().mean({0, 2, 3}, true);
  return x.sub(mean)
      .div(variance.add(norm.epsilon).sqrt())
      .mul(norm.weight.view({1, -1, 1, 1}))
      .add(norm.bias.view({1, -1, 1, 1}));
}

struct Gradients {
  at::Tensor x, weight, bias;
};

Gradients take_gradients(const at::Tensor& x, const BatchNorm& norm) {
  Gradients taken{x.grad().clone(), norm.weight.grad().clone(), norm.bias.grad().clone()};
  for (const at::Tensor& leaf : {x, norm.weight, norm.bias}) leaf.mutable_grad() = at::Tensor();
  return taken;
}

double largest(const at::Tensor& difference) {
  return difference.abs().max().item<double>();
}

TEST_CASE("kept pixels: the value is the plain one, bit for bit, and so are running statistics") {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor x = make_input(dtype).requires_grad_(true);
    const BatchNorm plain = make_norm(dtype);
    BatchNorm kept = plain;
    kept.running_mean = plain.running_mean.clone();
    kept.running_var = plain.running_var.clone();
    const StepRows pixels = some_pixels();
    const auto update = NormStatistics::batch_and_update;
    CHECK(batch_norm(x, kept, update, &pixels).equal(batch_norm(x, plain, update)));
    CHECK(kept.running_mean.equal(plain.running_mean));
    CHECK(kept.running_var.equal(plain.running_var));
    CHECK(largest(plain.running_mean) > 0.01);
  }
}

TEST_CASE("kept pixels: gradients are the definition's, cut at dropped pixels") {
  const at::Tensor x = make_input(at::kDouble).requires_grad_(true);
  const BatchNorm norm = make_norm(at::kDouble);
  const at::Tensor mask = pixel_mask(at::kDouble);
  const at::Tensor dy = at::randn(x.sizes(), x.options().requires_grad(false));
  const StepRows pixels = some_pixels();

  torch::autograd::backward({by_definition(x, norm)}, {dy.mul(mask)});
  const Gradients exact = take_gradients(x, norm);
  // What comes in at dropped pixels is not looked at.
  torch::autograd::backward({batch_norm(x, norm, NormStatistics::batch, &pixels)}, {dy});
  const Gradients kept = take_gradients(x, norm);

  CHECK(largest(kept.weight.sub(exact.weight)) < 1e-12);
  CHECK(largest(kept.bias.sub(exact.bias)) < 1e-12);
  CHECK(largest(kept.x.sub(exact.x.mul(mask))) < 1e-12);
  // The cut is real: the definition sends gradient to dropped pixels through the statistics.
  CHECK(largest(exact.x.sub(exact.x.mul(mask))) > 1e-3);
}

TEST_CASE("kept pixels: a split of other pixels, or running statistics, are refused") {
  const BatchNorm norm = make_norm(at::kFloat);
  const StepRows pixels = some_pixels();
  const at::Tensor smaller = at::randn({kBatch, kChannels, 1, kWidth});
  CHECK_THROWS_AS(batch_norm(smaller, norm, NormStatistics::batch, &pixels), Error);
  CHECK_THROWS_AS(batch_norm(make_input(at::kFloat), norm, NormStatistics::running, &pixels),
                  Error);
}

class ScriptedMask : public MaskSource {
 public:
  KeptCells draw(const MaskRequest&) override { return {0, 2, 4}; }
};

// A batch norm inside a body that a plan may recompute, and that a plan may drop pixels at.
struct Net {
  SiteTable sites;
  SiteId body = sites.add("body", SiteKind::positionwise, 0, {0, kHeight, kWidth});
  SiteId bn = sites.add("body.bn", SiteKind::batch_norm, 0, {0, kHeight, kWidth});
  BatchNorm norm = make_norm(at::kDouble);
  at::Tensor x = make_input(at::kDouble).requires_grad_(true);

  Plan plan(bool recomputed, bool dropping) const {
    PlanBuilder builder(sites);
    builder.begin({"test", {}});
    if (recomputed) builder.materialise(body, Materialise::recompute);
    if (dropping) {
      builder.select(bn, {builder.add_group({.name = "all",
                                             .kind = MaskKind::grid,
                                             .keep_ratio = 0.5,
                                             .geometry = {0, kHeight, kWidth}})});
    }
    return std::move(builder).finish();
  }
  // The running mean after `updates` updates by the batch's.
  at::Tensor expected_mean(int updates) const {
    const at::Tensor mean = x.detach().mean({0, 2, 3});
    at::Tensor running = at::zeros_like(mean);
    for (int i = 0; i < updates; ++i) running = running.mul(0.9).add(mean.mul(0.1));
    return running;
  }
  bool moved(int updates) const {
    return largest(norm.running_mean.sub(expected_mean(updates))) < 1e-14;
  }
};

TEST_CASE("running statistics move once a step, also when the body runs again") {
  for (const bool recomputed : {false, true}) {
    for (const bool dropping : {false, true}) {
      CAPTURE(recomputed);
      CAPTURE(dropping);
      Net net;
      const Plan plan = net.plan(recomputed, dropping);
      ScriptedMask masks;
      Execution run(net.sites, plan, masks);
      const auto body = [&](const at::Tensor& x) { return run.batch_norm(net.bn, x, net.norm); };
      const at::Tensor whole = by_definition(net.x.detach(), net.norm).detach();
      for (int step = 0; step < 2; ++step) {
        run.begin_step({.step = static_cast<std::uint32_t>(step)});
        {
          // As for dropped rows: not recorded, and first.
          const c10::NoGradGuard no_grad;
          CHECK(largest(body(net.x).sub(whole)) < 1e-12);
          CHECK(net.moved(step + 1));
        }
        const at::Tensor y = run.positionwise(net.body, net.x, body);
        CHECK(largest(y.detach().sub(whole)) < 1e-12);
        torch::autograd::backward({y.square().sum()});
        CHECK(net.moved(step + 1));
      }
    }
  }
}

TEST_CASE("recompute changes no bit of a batch norm") {
  std::vector<at::Tensor> values;
  for (const bool recomputed : {false, true}) {
    at::manual_seed(3);
    Net net;
    const Plan plan = net.plan(recomputed, false);
    ScriptedMask masks;
    Execution run(net.sites, plan, masks);
    run.begin_step({});
    const at::Tensor y = run.positionwise(net.body, net.x, [&](const at::Tensor& in) {
      return run.batch_norm(net.bn, in, net.norm);
    });
    torch::autograd::backward({y.pow(3).sum()});
    values.insert(values.end(), {net.x.grad(), net.norm.weight.grad(), net.norm.bias.grad(),
                                 net.norm.running_mean, net.norm.running_var});
  }
  for (std::size_t i = 0; i < 5; ++i) CHECK(values[i].equal(values[i + 5]));
}

TEST_CASE("evaluation uses running statistics and leaves them alone") {
  Net net;
  const Plan plan = net.plan(false, true);
  ScriptedMask masks;
  Execution run(net.sites, plan, masks);
  net.norm.running_mean.fill_(0.5);
  net.norm.running_var.fill_(4.0);
  run.begin_step({.training = false});
  const at::Tensor y = run.batch_norm(net.bn, net.x, net.norm).detach();
  const at::Tensor expected = net.x.detach()
                                  .sub(0.5)
                                  .div(std::sqrt(4.0 + 1e-5))
                                  .mul(net.norm.weight.detach().view({1, -1, 1, 1}))
                                  .add(net.norm.bias.detach().view({1, -1, 1, 1}));
  CHECK(largest(y.sub(expected)) < 1e-12);
  CHECK(net.norm.running_mean.equal(at::ones_like(net.norm.running_mean).mul(0.5)));
  CHECK(net.norm.running_var.equal(at::ones_like(net.norm.running_var).mul(4.0)));
}

TEST_CASE("statistics of less than the full batch, or of one value, are refused") {
  Net net;
  const Plan plan = full_plan(net.sites);
  ScriptedMask masks;
  Execution run(net.sites, plan, masks);
  run.begin_step({});
  const at::Tensor half = make_input(at::kDouble).slice(2, 0, 1);
  CHECK_THROWS_WITH(run.batch_norm(net.bn, half, net.norm),
                    "batch norm 'body.bn' takes its statistics from the full batch, [batch, "
                    "channels, 2, 3], and was given [3, 4, 1, 3]");
  const SiteId pixel = net.sites.add("pixel", SiteKind::batch_norm, 0, {0, 1, 1});
  const Plan wider = full_plan(net.sites);
  Execution other(net.sites, wider, masks);
  other.begin_step({});
  CHECK_THROWS_WITH(other.batch_norm(pixel, half.slice(0, 0, 1).slice(3, 0, 1), net.norm),
                    "batch norm 'pixel' has one value a channel in [1, 4, 1, 1], which has no "
                    "variance; use a larger batch or image");
  other.begin_step({.step = 1, .training = false});
  CHECK_NOTHROW(other.batch_norm(pixel, half.slice(0, 0, 1).slice(3, 0, 1), net.norm));
}

}  // namespace
}  // namespace sbp
