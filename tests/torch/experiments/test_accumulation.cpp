// What a step may do beside one forward, backward and update: accumulate, clip, average, refuse.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "experiments/models/mlp.h"
#include "experiments/models/resnet.h"
#include "experiments/models/vit.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/profile_run.h"
#include "experiments/strategies.h"
#include "experiments/training/gradients.h"
#include "experiments/training/trainer.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

constexpr ImageGeometry kInput{3, 8, 8, 10};
constexpr double kRate = 0.25;

// Draws as runs do, and keeps what was asked and given.
class SpyMasks : public MaskSource {
 public:
  KeptCells draw(const MaskRequest& request) override {
    steps.push_back(request.step);
    masks.push_back(keyed_.draw(request));
    return masks.back();
  }
  std::vector<std::uint32_t> steps;
  std::vector<KeptCells> masks;

 private:
  KeyedMaskSource keyed_{3};
};

struct Setup {
  std::unique_ptr<Model> model;
  Plan plan;
  SpyMasks masks;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Trainer> trainer;

  std::vector<at::Tensor> weights() const {
    std::vector<at::Tensor> values;
    for (const Parameter& parameter : model->parameters()) {
      values.push_back(parameter.value.detach().clone());
    }
    return values;
  }
  std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> values;
    for (const Parameter& parameter : model->parameters()) {
      values.push_back(parameter.value.grad().clone());
    }
    return values;
  }
  std::vector<at::Tensor> averages() const {
    std::vector<at::Tensor> values;
    trainer->average()->for_each([&](const std::string&, const at::Tensor& value, LayerId) {
      values.push_back(value.clone());
    });
    return values;
  }
};

struct SetupOptions {
  std::string strategy = "full";
  std::string optimizer = "sgd:lr=0.25";
  TrainerOptions trainer = {};
};

std::unique_ptr<Setup> make_setup(std::unique_ptr<Model> model, const SetupOptions& options) {
  auto setup = std::make_unique<Setup>();
  setup->model = std::move(model);
  setup->plan = resolve(options.strategy, setup->model->sites(), strategies());
  setup->optimizer = make_optimizer(parse_spec(options.optimizer, "optimizer", optimizer_schemas()),
                                    setup->model->parameters());
  setup->trainer = std::make_unique<Trainer>(*setup->model, setup->plan, setup->masks,
                                             *setup->optimizer, options.trainer);
  return setup;
}

std::unique_ptr<Model> small_vit() {
  return make_vit({.image = 8, .patch = 4, .dim = 8, .depth = 1, .heads = 2, .classes = 10}, {});
}

std::unique_ptr<Model> small_mlp() {
  return make_mlp({.input = kInput, .hidden = 4}, {.seed = 1});
}

// Two blocks: batch norms, so running statistics.
std::unique_ptr<Model> small_resnet() {
  return make_resnet({.input = kInput,
                      .stages = {{.depth = 1, .inner = 4, .out = 4},
                                 {.depth = 1, .inner = 8, .out = 8, .stride = 2}},
                      .stem_width = 4,
                      .stem = ResNetStem::small},
                     {});
}

// The first batches of one epoch, all different.
std::vector<Batch> batches(std::int64_t count, std::int64_t size) {
  const DataSource data =
      open_data(parse_spec("synthetic:samples=64", "data", data_schemas()), kInput, 1);
  Loader loader(*data.train, data, {.batch = size, .prefetch = 0});
  loader.start_epoch(0);
  std::vector<Batch> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back(*loader.next());
  return all;
}

NextBatch one_after_another(const std::vector<Batch>& all, std::size_t first = 0) {
  return [&all, first](std::int64_t index) -> const Batch& {
    return all.at(first + static_cast<std::size_t>(index));
  };
}

void check_equal(const std::vector<at::Tensor>& values, const std::vector<at::Tensor>& expected) {
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    CHECK(values[i].equal(expected[i]));
  }
}

double distance(const std::vector<at::Tensor>& values, const std::vector<at::Tensor>& others) {
  double most = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    most = std::max(most, values[i].sub(others[i]).abs().max().item<double>());
  }
  return most;
}

TEST_CASE("two accumulated batches make the update of one batch of both") {
  const std::vector<Batch> halves = batches(6, 4);
  const std::vector<Batch> wholes = batches(3, 8);
  REQUIRE(halves[0].images != halves[1].images);
  for (const auto& make : {small_vit, small_mlp}) {
    const auto accumulated = make_setup(make(), {.trainer = {.accumulate = 2}});
    const auto at_once = make_setup(make(), {});
    const std::vector<at::Tensor> before = at_once->weights();
    for (std::size_t step = 0; step < 3; ++step) {
      const auto number = static_cast<std::int64_t>(step);
      const StepResult parts =
          accumulated->trainer->step(one_after_another(halves, 2 * step), number, kRate);
      const StepResult whole = at_once->trainer->step(wholes[step], number, kRate);
      CHECK(parts.loss == doctest::Approx(whole.loss).epsilon(1e-6));
    }
    const std::vector<at::Tensor> expected = at_once->weights();
    const std::vector<at::Tensor> values = accumulated->weights();
    for (std::size_t i = 0; i < values.size(); ++i) {
      CAPTURE(at_once->model->parameters()[i].name);
      CHECK(values[i].allclose(expected[i], 1e-6, 1e-7));
    }
    CHECK(distance(expected, before) > 1e-2);
  }
}

TEST_CASE("each accumulated batch has a mask of its own") {
  const std::vector<Batch> all = batches(2, 4);
  const auto setup = make_setup(small_vit(), {.strategy = "sbp:keep=0.5,mask=random,layers=all",
                                              .trainer = {.accumulate = 2}});
  for (const std::int64_t step : {0, 1, 5}) {
    setup->trainer->step(one_after_another(all), step, kRate);
  }
  CHECK(setup->masks.steps == std::vector<std::uint32_t>{0, 1, 2, 3, 10, 11});
  CHECK(setup->masks.masks[0] != setup->masks.masks[1]);
}

// Keeps one cell of even steps and two of odd ones.
class UnevenMasks : public MaskSource {
 public:
  KeptCells draw(const MaskRequest& request) override {
    return request.step % 2 == 0 ? KeptCells{0} : KeptCells{0, 1};
  }
};

TEST_CASE("kept rows are the last batch's, and their mean the step's") {
  const std::vector<Batch> all = batches(2, 4);
  const auto model = small_vit();
  const Plan plan = resolve("sbp:keep=0.5,layers=all", model->sites(), strategies());
  UnevenMasks masks;
  const auto optimizer =
      make_optimizer(parse_spec("sgd", "optimizer", optimizer_schemas()), model->parameters());
  Trainer trainer(*model, plan, masks, *optimizer, {.accumulate = 2});
  for (const std::int64_t step : {0, 1}) trainer.step(one_after_another(all), step, kRate);
  CHECK(trainer.kept_rows() == std::vector<std::int64_t>{3});  // with the class token
  CHECK(trainer.mean_kept_rows() == std::vector<double>{2.5});
}

TEST_CASE("clipping bounds the norm of all gradients and keeps their direction") {
  const std::vector<Batch> all = batches(2, 4);
  const auto run = [&](double clip_norm) {
    auto setup = make_setup(small_vit(), {.trainer = {.accumulate = 2, .clip_norm = clip_norm}});
    setup->trainer->step(one_after_another(all), 0, kRate);
    return setup;
  };
  const auto plain = run(0.0);
  const std::vector<at::Tensor> gradients = plain->gradients();
  double square = 0.0;
  for (const at::Tensor& gradient : gradients) {
    square += gradient.to(at::kDouble).square().sum().item<double>();
  }
  const double norm = std::sqrt(square);
  CHECK(gradient_norm(plain->model->parameters()).item<double>() ==
        doctest::Approx(norm).epsilon(1e-6));

  const double maximum = 0.25 * norm;
  const auto clipped = run(maximum);
  const double reached = gradient_norm(clipped->model->parameters()).item<double>();
  CHECK(reached <= maximum * (1.0 + 1e-7));
  CHECK(reached == doctest::Approx(maximum).epsilon(1e-5));
  const std::vector<at::Tensor> before = make_setup(small_vit(), {})->weights();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    CAPTURE(clipped->model->parameters()[i].name);
    const at::Tensor& gradient = clipped->model->parameters()[i].value.grad();
    CHECK(gradient.allclose(gradients[i].mul(maximum / (norm + 1e-6)), 1e-5, 1e-9));
    CHECK(clipped->weights()[i].allclose(before[i].sub(gradient, kRate), 0.0, 1e-7));
  }

  const auto loose = run(2.0 * norm);
  check_equal(loose->gradients(), gradients);
  check_equal(loose->weights(), plain->weights());
}

TEST_CASE("the average follows the weights, and buffers are copied") {
  constexpr double kDecay = 0.75;
  const std::vector<Batch> all = batches(3, 4);
  const auto setup = make_setup(small_resnet(), {.trainer = {.ema_decay = kDecay}});
  const std::size_t count = setup->weights().size();
  std::vector<at::Tensor> expected;
  for (const at::Tensor& weight : setup->weights()) expected.push_back(weight.to(at::kDouble));
  for (std::size_t step = 0; step < 3; ++step) {
    setup->trainer->step(all[step], static_cast<std::int64_t>(step), kRate);
    const std::vector<at::Tensor> weights = setup->weights();
    for (std::size_t i = 0; i < count; ++i) {
      expected[i] = expected[i].mul(kDecay).add(weights[i].to(at::kDouble), 1.0 - kDecay);
    }
  }
  const std::vector<at::Tensor> averages = setup->averages();
  const std::vector<Buffer>& buffers = setup->model->buffers();
  REQUIRE_FALSE(buffers.empty());
  REQUIRE(averages.size() == count + buffers.size());
  for (std::size_t i = 0; i < count; ++i) {
    CAPTURE(setup->model->parameters()[i].name);
    CHECK(averages[i].to(at::kDouble).allclose(expected[i], 1e-6, 1e-7));
  }
  CHECK(distance(setup->weights(), averages) > 1e-2);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    CAPTURE(buffers[i].name);
    CHECK(averages[count + i].equal(buffers[i].value));
  }
}

TEST_CASE("the averaged weights are lent to the model and given back") {
  const std::vector<Batch> all = batches(1, 4);
  const auto setup = make_setup(small_mlp(), {.trainer = {.ema_decay = 0.5}});
  setup->trainer->step(all[0], 0, kRate);
  const std::vector<at::Tensor> weights = setup->weights();
  const std::vector<at::Tensor> averages = setup->averages();
  CHECK(distance(weights, averages) > 1e-3);
  {
    const WithAverage averaged(setup->trainer->average());
    check_equal(setup->weights(), averages);
    check_equal(setup->averages(), weights);
  }
  check_equal(setup->weights(), weights);
  check_equal(setup->averages(), averages);
  {
    const WithAverage nothing(nullptr);
    check_equal(setup->weights(), weights);
  }
}

// A step that is spoilt must leave weights, averages and optimizer as they were; the next one is as
// if there had been none.
void check_no_update(const std::string& problem, const NextBatch& next, const StepHooks& hooks) {
  const std::vector<Batch> good = batches(2, 4);
  const SetupOptions options{.optimizer = "adamw:lr=0.25",
                             .trainer = {.accumulate = 2, .clip_norm = 1.0, .ema_decay = 0.5}};
  const auto setup = make_setup(small_mlp(), options);
  const std::vector<at::Tensor> weights = setup->weights();
  const StepResult result = setup->trainer->step(next, 0, kRate, hooks);
  CHECK(result.problem == problem);
  check_equal(setup->weights(), weights);
  check_equal(setup->averages(), weights);
  std::int64_t states = 0;
  setup->optimizer->for_each_state(
      [&](const std::string&, const at::Tensor&, const Parameter&) { ++states; });
  CHECK(states == 0);

  const auto fresh = make_setup(small_mlp(), options);
  CHECK(setup->trainer->step(one_after_another(good), 1, kRate).problem.empty());
  CHECK(fresh->trainer->step(one_after_another(good), 1, kRate).problem.empty());
  check_equal(setup->weights(), fresh->weights());
  CHECK(distance(setup->weights(), weights) > 1e-2);
}

TEST_CASE("a loss that is not finite makes no update") {
  for (const std::size_t spoilt : {0, 1}) {
    CAPTURE(spoilt);
    std::vector<Batch> all = batches(2, 4);
    all[spoilt].images[0] = std::numeric_limits<float>::quiet_NaN();
    std::int64_t backwards = 0;
    StepHooks hooks;
    hooks.gradients_ready = [&] { ++backwards; };
    hooks.updated = [] { FAIL("an update was made"); };
    check_no_update("the loss is nan", one_after_another(all), hooks);
    CHECK(backwards == static_cast<std::int64_t>(spoilt));  // the spoilt batch has none
  }
}

TEST_CASE("a gradient that is not finite makes no update") {
  const std::vector<Batch> all = batches(2, 4);
  const auto model = small_mlp();
  const std::string name = model->parameters()[1].name;
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    const auto setup = make_setup(small_mlp(), {.trainer = {.accumulate = 2}});
    StepHooks hooks;
    hooks.gradients_ready = [&] { setup->model->parameters()[1].value.mutable_grad()[0] = bad; };
    hooks.updated = [] { FAIL("an update was made"); };
    const std::vector<at::Tensor> weights = setup->weights();
    const StepResult result = setup->trainer->step(one_after_another(all), 0, kRate, hooks);
    CHECK(result.problem == "the gradient of '" + name + "' is not finite");
    check_equal(setup->weights(), weights);
  }
}

constexpr const char* kVit = "vit:image=32,patch=8,dim=24,depth=2,heads=2,classes=10";

reports::ProfileReport profile(const std::string& model, std::int64_t accumulate, double ema) {
  ProfileOptions options;
  options.model = model;
  options.batch = 2;
  options.accumulate = accumulate;
  options.ema = ema;
  options.threads = 1;
  options.time_steps = 0;
  return run_profile(options);
}

std::int64_t bytes_of(const reports::ProfileReport& report, profiler::Category category) {
  return report.memory.categories_at_peak[static_cast<std::size_t>(category)];
}

TEST_CASE("averages take the bytes of parameters and buffers") {
  for (const std::string model : {kVit, "resnet18:image=16,classes=10,width=8,stem=small"}) {
    CAPTURE(model);
    const auto with = profile(model, 2, 0.9), without = profile(model, 2, 0.0);
    CHECK(with.memory.ledger.balanced);
    const std::int64_t own = with.model.parameter_bytes + with.model.buffer_bytes;
    CHECK(bytes_of(with, profiler::Category::average) == own);
    CHECK(bytes_of(without, profiler::Category::average) == 0);
    CHECK(with.memory.peak.bytes == without.memory.peak.bytes + own);
  }
}

TEST_CASE("more accumulated batches take no more memory") {
  const auto one = profile(kVit, 1, 0.0), two = profile(kVit, 2, 0.0);
  const auto four = profile(kVit, 4, 0.0);
  CHECK(two.memory.ledger.balanced);
  CHECK(four.memory.ledger.balanced);
  CHECK(four.memory.peak.bytes == two.memory.peak.bytes);
  CHECK(four.memory.categories_at_peak == two.memory.categories_at_peak);
  // From the second batch on, the gradients are there while the forward's activations are.
  CHECK(two.memory.peak.bytes > one.memory.peak.bytes);
}

}  // namespace
}  // namespace sbp::experiments
