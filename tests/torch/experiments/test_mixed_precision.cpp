// The policy against at::autocast, and what it must not change.
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/engine.h>

#include <algorithm>
#include <memory>
#include <set>

#include "experiments/models/vit.h"
#include "experiments/strategies.h"
#include "profiler/torch/saved_tensor_engine.h"
#include "sbp/execution.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

struct Saved {
  LayerId layer;
  std::vector<std::int64_t> sizes;
  at::ScalarType type;
  std::int64_t bytes;

  auto operator<=>(const Saved&) const = default;
};

std::vector<Saved> saves;

class Collect final : public torch::autograd::SavedVariableHooks {
 public:
  void call_pack_hook(const at::Tensor& tensor) override {
    kept_ = tensor.tensor_data();
    saves.push_back({current_layer(), kept_.sizes().vec(), kept_.scalar_type(),
                     static_cast<std::int64_t>(kept_.nbytes())});
  }
  at::Tensor call_unpack_hook() override { return kept_; }

 private:
  at::Tensor kept_;
};

class CollectingEngine final : public torch::autograd::Engine {
 public:
  ~CollectingEngine() override { stop(); }
  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    return std::make_unique<Collect>();
  }
};

// While it lives every save goes into `saves`.
class Collecting {
 public:
  Collecting() {
    saves.clear();
    torch::autograd::set_default_engine_stub(+[]() -> torch::autograd::Engine& {
      static CollectingEngine engine;
      return engine;
    });
  }
  ~Collecting() { profiler::install_saved_tensor_engine(); }
};

class Autocast {
 public:
  explicit Autocast(at::ScalarType type) {
    at::autocast::set_autocast_dtype(at::kCPU, type);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~Autocast() {
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
  }
};

struct Pass {
  at::Tensor logits;
  std::vector<Saved> saved;  // sorted
  std::vector<at::Tensor> gradients;
};

struct PassOptions {
  Precision precision = {};
  bool fused = false;
  std::string strategy = "full";
  at::ScalarType autocast = at::kFloat;  // kFloat: none
};

std::unique_ptr<Model> small_vit(bool fused) {
  return make_vit({.image = 16,
                   .patch = 4,
                   .dim = 48,
                   .depth = 2,
                   .heads = 3,
                   .classes = 10,
                   .fused_attention = fused},
                  {.seed = 3});
}

at::Tensor images() {
  return at::linspace(-1, 1, 2 * 3 * 16 * 16).sin().reshape({2, 3, 16, 16});
}

at::Tensor forward_loss(Model& model, Execution& run, const Precision& precision, Pass& pass) {
  pass.logits = model.forward(run, images());
  const at::Tensor labels = at::zeros({2}, at::kLong);
  return at::cross_entropy_loss(precision.loss_input(pass.logits), labels);
}

Pass run_pass(const PassOptions& options) {
  const auto model = small_vit(options.fused);
  const Plan plan = resolve(options.strategy, model->sites(), strategies());
  KeyedMaskSource masks(9);
  Execution run(model->sites(), plan, masks, {.precision = options.precision});
  run.begin_step({});
  Pass pass;
  at::Tensor loss;
  {
    const Collecting collecting;
    if (options.autocast == at::kFloat) {
      loss = forward_loss(*model, run, options.precision, pass);
    } else {
      const Autocast autocast(options.autocast);
      loss = forward_loss(*model, run, options.precision, pass);
    }
    pass.saved = saves;
  }
  std::ranges::sort(pass.saved);
  torch::autograd::backward({loss});
  for (const Parameter& parameter : model->parameters()) {
    pass.gradients.push_back(parameter.value.grad());
  }
  return pass;
}

void check_equal(const Pass& one, const Pass& other) {
  CHECK((one.logits.scalar_type() == other.logits.scalar_type()));
  CHECK(one.logits.equal(other.logits));
  REQUIRE(one.saved.size() == other.saved.size());
  for (std::size_t i = 0; i < one.saved.size(); ++i) {
    CAPTURE(i);
    CAPTURE(one.saved[i].layer);
    CHECK((one.saved[i] == other.saved[i]));
  }
  REQUIRE(one.gradients.size() == other.gradients.size());
  for (std::size_t i = 0; i < one.gradients.size(); ++i) {
    CHECK((one.gradients[i].scalar_type() == at::kFloat));
    CHECK(one.gradients[i].equal(other.gradients[i]));
  }
}

double error_of(const Pass& got, const Pass& expected) {
  const at::Tensor wanted = expected.logits.to(at::kDouble);
  return got.logits.to(at::kDouble).sub(wanted).abs().max().item<double>() /
         wanted.abs().max().item<double>();
}

TEST_CASE("CPU's list saves, computes and differentiates as at::autocast does, bit for bit") {
  for (const at::ScalarType low : {at::kBFloat16, at::kHalf}) {
    for (const bool fused : {false, true}) {
      CAPTURE(c10::toString(low));
      CAPTURE(fused);
      const Pass ours = run_pass({.precision = {.low = low, .full_norms = false}, .fused = fused});
      const Pass theirs = run_pass({.fused = fused, .autocast = low});
      CHECK(ours.saved.size() > 60);
      CHECK((ours.logits.scalar_type() == low));
      check_equal(ours, theirs);
    }
  }
}

TEST_CASE("CUDA's list keeps the softmax in fp32 and its 16-bit cast, CPU's the latter alone") {
  const auto maps = [](const Pass& pass, at::ScalarType type) {
    return std::ranges::count_if(pass.saved, [&](const Saved& saved) {
      return saved.type == type && saved.sizes == std::vector<std::int64_t>{6, 17, 17};
    });
  };
  const Pass cuda = run_pass({.precision = {.low = at::kBFloat16}});
  const Pass cpu = run_pass({.precision = {.low = at::kBFloat16, .full_norms = false}});
  CHECK(maps(cuda, at::kFloat) == 2);  // one a block
  CHECK(maps(cuda, at::kBFloat16) == 2);
  CHECK(maps(cpu, at::kFloat) == 0);
  CHECK(maps(cpu, at::kBFloat16) == 4);  // softmax's result, and the same as bmm's operand
}

TEST_CASE("16 bit is near fp32, and fp32's policy casts nothing") {
  for (const bool fused : {false, true}) {
    for (const std::string strategy : {"full", "sbp:keep=0.5,layers=all"}) {
      CAPTURE(fused);
      CAPTURE(strategy);
      const Pass full = run_pass({.fused = fused, .strategy = strategy});
      for (const Saved& saved : full.saved) {
        CHECK((saved.type == at::kFloat || saved.type == at::kLong));
      }
      for (const auto& [low, tolerance] :
           {std::pair{at::kBFloat16, 0.05}, std::pair{at::kHalf, 0.005}}) {
        const Pass mixed =
            run_pass({.precision = {.low = low}, .fused = fused, .strategy = strategy});
        CAPTURE(c10::toString(low));
        const double error = error_of(mixed, full);
        CHECK(error > 0.0);
        CHECK(error < tolerance);
        for (std::size_t i = 0; i < full.gradients.size(); ++i) {
          const double scale = full.gradients[i].abs().max().item<double>();
          const at::Tensor difference = mixed.gradients[i].sub(full.gradients[i]).abs();
          CHECK(difference.max().item<double>() <= 4 * tolerance * scale + 1e-6);
        }
      }
    }
  }
}

TEST_CASE("every matmul weight and bias has one copy a step, whoever uses it first") {
  for (const std::string strategy : {"full", "sbp:keep=0.5,layers=all"}) {
    CAPTURE(strategy);
    const auto model = small_vit(false);
    const Plan plan = resolve(strategy, model->sites(), strategies());
    KeyedMaskSource masks(9);
    Execution run(model->sites(), plan, masks, {.precision = {.low = at::kBFloat16}});
    run.begin_step({});
    Pass pass;
    const at::Tensor loss = forward_loss(*model, run, {.low = at::kBFloat16}, pass);
    std::set<const void*> storages;
    std::size_t copied = 0;
    for (const Parameter& parameter : model->parameters()) {
      CAPTURE(parameter.name);
      const bool is_matmul = parameter.name.find("norm") == std::string::npos &&
                             parameter.name != "cls_token" && parameter.name != "pos_embed";
      const at::Tensor copy = run.weight_copy(parameter.value);
      REQUIRE(copy.defined() == is_matmul);
      if (!is_matmul) continue;
      ++copied;
      CHECK(copy.nbytes() == 2 * static_cast<std::size_t>(parameter.value.numel()));
      CHECK(copy.requires_grad());
      storages.insert(copy.storage().unsafeGetStorageImpl());
    }
    CHECK(storages.size() == copied);
    // Dropped rows used these copies first and did not record; the gradient arrives all the same.
    torch::autograd::backward({loss});
    for (const Parameter& parameter : model->parameters()) {
      CAPTURE(parameter.name);
      REQUIRE(parameter.value.grad().defined());
      CHECK(parameter.value.grad().abs().max().item<double>() > 0.0);
    }
    run.end_step();
    for (const Parameter& parameter : model->parameters()) {
      CHECK_FALSE(run.weight_copy(parameter.value).defined());
    }
  }
}

TEST_CASE("a weight that changes within a step is copied anew, and fp64 is left alone") {
  WeightCopies copies({.low = at::kBFloat16});
  const at::Tensor weight = at::ones({4}).requires_grad_(true);
  CHECK(copies.of(weight).is_same(copies.of(weight)));
  weight.detach().fill_(2.0);
  CHECK(copies.of(weight).detach().to(at::kFloat).equal(weight.detach()));
  CHECK_FALSE(copies.of(at::Tensor()).defined());
  const at::Tensor wide = at::ones({4}, at::kDouble);
  CHECK(copies.of(wide).is_same(wide));
  CHECK(Precision{.low = at::kHalf}.operand(wide).is_same(wide));
}

TEST_CASE("without mixed precision no copy is made") {
  const auto model = small_vit(false);
  const Plan plan = full_plan(model->sites());
  KeyedMaskSource masks(9);
  Execution run(model->sites(), plan, masks);
  run.begin_step({});
  Pass pass;
  forward_loss(*model, run, {}, pass);
  for (const Parameter& parameter : model->parameters()) {
    CHECK_FALSE(run.weight_copy(parameter.value).defined());
  }
}

}  // namespace
}  // namespace sbp::experiments
