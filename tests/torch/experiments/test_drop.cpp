// Drop path and dropout: what they draw, when, and what they save.
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "experiments/runs/profile_run.h"
#include "experiments/runs/train_run.h"
#include "sbp/base/error.h"
#include "sbp/execution.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

// An execution with one residual and one dropout site.
class Fixture {
 public:
  Fixture() {
    residual_ = sites_.add("block.add", SiteKind::residual, 0);
    other_ = sites_.add("block.other", SiteKind::residual, 0);
    drop_ = sites_.add("head.drop", SiteKind::dropout);
    plan_ = full_plan(sites_);
    run_.emplace(sites_, plan_, masks_);
  }

  Execution& begin(std::uint32_t step, std::uint64_t seed, bool training = true) {
    run_->begin_step({.step = step, .training = training, .seed = seed});
    return *run_;
  }
  // 0 + 1 under drop path: the scale of each sample's branch.
  at::Tensor scales(double rate, bool is_other = false, std::int64_t batch = 64) {
    return run_->residual(is_other ? other_ : residual_, at::zeros({batch, 3, 2}),
                          [](const at::Tensor& x) { return at::ones(x.sizes()); },
                          {.drop_path = rate});
  }
  at::Tensor dropped(const at::Tensor& x, double rate) { return run_->dropout(drop_, x, rate); }

 private:
  SiteTable sites_;
  SiteId residual_ = -1, other_ = -1, drop_ = -1;
  Plan plan_;
  KeyedMaskSource masks_{0};
  std::optional<Execution> run_;
};

TEST_CASE("drop path leaves out whole samples and scales the others") {
  Fixture fixture;
  fixture.begin(3, 7);
  const at::Tensor scales = fixture.scales(0.25, false, 4096);
  const at::Tensor first = scales.select(1, 0).select(1, 0);
  CHECK(scales.eq(first.view({-1, 1, 1})).all().item<bool>());  // one draw a sample
  const at::Tensor is_kept = first.ne(0);
  CHECK(first.masked_select(is_kept).eq(1.0f / 0.75f).all().item<bool>());
  // Four sigma of a binomial(4096, 3/4): 111.
  CHECK(std::abs(is_kept.sum().item<std::int64_t>() - 3072) < 111);
}

TEST_CASE("drop path and dropout are a function of seed, step and site") {
  Fixture fixture;
  const auto draw = [&](std::uint32_t step, std::uint64_t seed, bool other = false) {
    fixture.begin(step, seed);
    return fixture.scales(0.5, other);
  };
  const at::Tensor first = draw(3, 7);
  CHECK(first.equal(draw(3, 7)));
  CHECK(first.equal(fixture.scales(0.5)));  // twice in one step: a recomputation
  CHECK_FALSE(first.equal(draw(4, 7)));
  CHECK_FALSE(first.equal(draw(3, 8)));
  CHECK_FALSE(first.equal(draw(3, 7, true)));
  const at::Tensor x = at::ones({8, 40});
  fixture.begin(3, 7);
  const at::Tensor dropped = fixture.dropped(x, 0.5);
  CHECK(dropped.equal(fixture.dropped(x, 0.5)));
  fixture.begin(4, 7);
  CHECK_FALSE(dropped.equal(fixture.dropped(x, 0.5)));
}

TEST_CASE("dropout zeroes a share and scales the rest, and so its gradient") {
  Fixture fixture;
  fixture.begin(0, 1);
  const at::Tensor x = at::ones({64, 64}).requires_grad_(true);
  const at::Tensor y = fixture.dropped(x, 0.25);
  torch::autograd::backward({y.sum()});
  const at::Tensor kept = y.detach().ne(0);
  CHECK(y.detach().masked_select(kept).eq(1.0f / 0.75f).all().item<bool>());
  CHECK(x.grad().equal(y.detach()));
  CHECK(std::abs(kept.sum().item<std::int64_t>() - 3072) < 111);
}

TEST_CASE("evaluation and a rate of 0 change nothing") {
  Fixture fixture;
  const at::Tensor x = at::ones({4, 4});
  fixture.begin(0, 1, false);
  CHECK(fixture.dropped(x, 0.5).is_same(x));
  CHECK(fixture.scales(0.5).equal(at::ones({64, 3, 2})));
  fixture.begin(0, 1);
  CHECK(fixture.dropped(x, 0.0).is_same(x));
  CHECK(fixture.scales(0.0).equal(at::ones({64, 3, 2})));
}

reports::ProfileReport measure_vit(const std::string& keys, const std::string& device) {
  ProfileOptions options;
  options.model = "vit:image=16,patch=8,dim=16,depth=3,heads=2,classes=4,channels=3" + keys;
  options.device = device;
  options.batch = 4;
  options.threads = 1;
  options.warmup = 0;
  options.time_steps = 0;
  return run_profile(options);
}

TEST_CASE("drop path saves a number a sample and branch, dropout a byte an element") {
  for (const std::string device : {"cpu", "meta"}) {
    const auto plain = measure_vit("", device),
               zero = measure_vit(",drop_path=0,dropout=0", device);
    const auto both = measure_vit(",drop_path=0.2,dropout=0.1", device);
    CHECK(plain.memory.saved == zero.memory.saved);
    CHECK(plain.loss == zero.loss);
    const auto difference = [&](const std::string& name) {
      return tests::layer(both.memory, name).saved.distinct_bytes -
             tests::layer(plain.memory, name).saved.distinct_bytes;
    };
    CHECK(difference("blocks.0") == 0);  // the ramp starts at 0
    CHECK(difference("blocks.1") == 2 * 4 * 4);
    CHECK(difference("blocks.2") == 2 * 4 * 4);
    CHECK(tests::layer(both.memory, "head_drop").saved.distinct_bytes == 4 * 16);
  }
}

TEST_CASE("a training with drop path and dropout repeats itself") {
  const auto losses = [](const std::string& keys, std::uint64_t seed) {
    TrainOptions options;
    options.model = "vit:patch=8,dim=16,depth=2,heads=2,image=16,classes=4" + keys;
    options.data = "synthetic:samples=64";
    options.steps = 4;
    options.seed = seed;
    options.threads = 1;
    return run_train(options).step_losses;
  };
  const std::string keys = ",drop_path=0.5,dropout=0.2";
  CHECK(losses(keys, 1) == losses(keys, 1));
  CHECK(losses(keys, 1) != losses("", 1));
}

}  // namespace
}  // namespace sbp::experiments
