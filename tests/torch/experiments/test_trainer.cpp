// What a training step and an evaluation do, seen from outside.
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <memory>

#include "experiments/models/mlp.h"
#include "experiments/models/vit.h"
#include "experiments/runs/catalogue.h"
#include "experiments/strategies.h"
#include "experiments/training/trainer.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

constexpr ImageGeometry kInput{3, 8, 8, 10};

// Keeps what it is asked for, and always keeps cell 0.
class SpyMasks : public MaskSource {
 public:
  KeptCells draw(const MaskRequest& request) override {
    steps.push_back(request.step);
    return {0};
  }
  std::vector<std::uint32_t> steps;
};

struct Setup {
  std::unique_ptr<Model> model;
  Plan plan;
  SpyMasks masks;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Trainer> trainer;
};

std::unique_ptr<Setup> make_setup(std::unique_ptr<Model> model, const std::string& strategy,
                                  const TrainerOptions& options = {}) {
  auto setup = std::make_unique<Setup>();
  setup->model = std::move(model);
  setup->plan = resolve(strategy, setup->model->sites(), strategies());
  setup->optimizer = make_optimizer(parse_spec("sgd:lr=0.5", "optimizer", optimizer_schemas()),
                                    setup->model->parameters());
  setup->trainer = std::make_unique<Trainer>(*setup->model, setup->plan, setup->masks,
                                             *setup->optimizer, options);
  return setup;
}

std::unique_ptr<Model> small_vit() {
  return make_vit({.image = 8, .patch = 4, .dim = 8, .depth = 1, .heads = 2, .classes = 10}, {});
}

// Drops the pixels that are exactly 0: how many there are, only the data says.
class PickyModel final : public Model {
 public:
  explicit PickyModel(at::Device device) : Model(kInput) {
    const LayerId layer = sites_.layers().add("head", "linear");
    weight_ = at::zeros({3 * 8 * 8, 10}, at::TensorOptions(device)).requires_grad_(true);
    parameters_.push_back({"head.weight", weight_, layer});
  }
  at::Tensor forward(Execution&, const at::Tensor& images) override {
    const at::Tensor rows = images.flatten(1);
    const at::Tensor lit = rows.select(0, 0).nonzero().squeeze(1);
    return at::matmul(rows.index_select(1, lit), weight_.index_select(0, lit));
  }

 private:
  at::Tensor weight_;
};

DataSource synthetic() {
  return open_data(parse_spec("synthetic:samples=64", "data", data_schemas()), kInput, 1);
}

Batch first_batch(const DataSource& data) {
  Loader loader(*data.train, data, {.batch = 4, .prefetch = 0});
  loader.start_epoch(0);
  return *loader.next();
}

TEST_CASE("each step draws the mask of its own number, evaluation draws none") {
  const DataSource data = synthetic();
  const Batch batch = first_batch(data);
  const auto setup = make_setup(small_vit(), "sbp:keep=0.5,layers=all");
  for (const std::int64_t step : {0, 1, 7}) setup->trainer->step(batch, step, 0.1);
  CHECK(setup->masks.steps == std::vector<std::uint32_t>{0, 1, 7});
  CHECK(setup->trainer->kept_rows() == std::vector<std::int64_t>{2});  // class token and cell 0
  Loader loader(*data.test, data, {.batch = 4, .shuffle = false, .prefetch = 0});
  setup->trainer->evaluate(loader);
  CHECK(setup->masks.steps.size() == 3);
}

TEST_CASE("a step moves parameters by the rate it is given") {
  const DataSource data = synthetic();
  const Batch batch = first_batch(data);
  const auto setup = make_setup(small_vit(), "full");
  const at::Tensor weight = setup->model->parameters().back().value;  // head.bias
  const at::Tensor before = weight.detach().clone();
  setup->trainer->step(batch, 0, 0.0);
  CHECK(weight.equal(before));
  setup->trainer->step(batch, 1, 0.25);
  const at::Tensor expected = before.sub(weight.grad().mul(0.25));
  CHECK(weight.detach().allclose(expected, 0.0, 1e-7));
}

TEST_CASE("gradients are dropped where they are said to be") {
  const DataSource data = synthetic();
  const Batch batch = first_batch(data);
  struct Expected {
    ZeroGrad when;
    bool in_forward, in_update, after;
  };
  for (const Expected& expected : {Expected{ZeroGrad::start, false, true, true},
                                   Expected{ZeroGrad::before_backward, true, true, true},
                                   Expected{ZeroGrad::end, false, true, false}}) {
    const auto setup = make_setup(small_vit(), "full", {.zero_grad = expected.when});
    const auto is_held = [&] { return setup->model->parameters().back().value.grad().defined(); };
    setup->trainer->step(batch, 0, 0.0);
    CHECK(is_held() == expected.after);
    const at::Tensor first =
        is_held() ? setup->model->parameters().back().value.grad().clone() : at::Tensor();
    bool in_forward = false, in_update = false;
    StepHooks hooks;
    hooks.phase = [&](Phase phase) {
      if (phase == Phase::forward) in_forward = is_held();
      if (phase == Phase::optimizer_step) in_update = is_held();
    };
    setup->trainer->step(batch, 1, 0.0, hooks);
    CHECK(in_forward == expected.in_forward);
    CHECK(in_update == expected.in_update);
    // The same batch and weights: not the sum of two steps' gradients.
    if (first.defined()) CHECK(setup->model->parameters().back().value.grad().equal(first));
  }
}

TEST_CASE("top-1 and top-5 count ranks, and ties count against") {
  const DataSource data = synthetic();
  std::vector<std::int64_t> count(10);
  for (std::int64_t i = 0; i < data.test->size(); ++i)
    ++count[static_cast<std::size_t>(data.test->label(i))];
  const auto setup = make_setup(make_mlp({.input = kInput, .hidden = 4}, {}), "full");
  for (const Parameter& parameter : setup->model->parameters()) parameter.value.detach().zero_();
  Loader loader(*data.test, data,
                {.batch = 5, .shuffle = false, .drop_last = false, .prefetch = 0});

  const reports::Evaluation tied = setup->trainer->evaluate(loader);
  CHECK(tied.samples == data.test->size());
  CHECK(tied.top1 == 0.0);
  CHECK(tied.top5 == 0.0);
  CHECK(tied.loss == doctest::Approx(std::log(10.0)));

  // Logits 9, 8, ..., 0: class c is always of rank c.
  const at::Tensor bias = setup->model->parameters().back().value.detach();
  for (std::int64_t c = 0; c < 10; ++c) bias[c] = static_cast<double>(9 - c);
  const reports::Evaluation ranked = setup->trainer->evaluate(loader);
  const auto all = static_cast<double>(data.test->size());
  CHECK(ranked.top1 == doctest::Approx(static_cast<double>(count[0]) / all));
  CHECK(ranked.top5 ==
        doctest::Approx(static_cast<double>(count[0] + count[1] + count[2] + count[3] + count[4]) /
                        all));
}

TEST_CASE("a dry run of what needs values says so, and names the operator") {
  const DataSource data = synthetic();
  const Batch batch = first_batch(data);
  const auto on_cpu = make_setup(std::make_unique<PickyModel>(at::kCPU), "full");
  CHECK(on_cpu->trainer->step(batch, 0, 0.1).problem == "");
  const auto dry =
      make_setup(std::make_unique<PickyModel>(at::kMeta), "full", {.device = at::kMeta});
  CHECK_THROWS_WITH_AS(dry->trainer->step(batch, 0, 0.1),
                       "a dry run, which computes no values, cannot go past 'aten::nonzero': what "
                       "it gives depends on them; use --device cpu",
                       NeedsValues);
}

}  // namespace
}  // namespace sbp::experiments
