// How wrong a gradient is: sums, masks, the exact pass and exact surroundings.
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "experiments/codecs.h"
#include "experiments/fidelity/exact_pass.h"
#include "experiments/fidelity/fidelity_tally.h"
#include "experiments/models/convnext.h"
#include "experiments/models/registry.h"
#include "experiments/models/vit.h"
#include "experiments/runs/catalogue.h"
#include "experiments/strategies.h"
#include "experiments/training/trainer.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

at::Tensor values(std::initializer_list<double> list, at::ScalarType type = at::kFloat) {
  at::Tensor tensor = at::zeros({static_cast<std::int64_t>(list.size())}, at::dtype(at::kDouble));
  std::copy(list.begin(), list.end(), tensor.data_ptr<double>());
  return tensor.to(type);
}

TEST_CASE("sums of two gradients are those of paper and pencil") {
  const GradientSums sums = compare(values({1, -2, 0, 3}), values({2, 1, 0, -1}));
  CHECK(sums.hg == -3.0);
  CHECK(sums.hh == 14.0);
  CHECK(sums.gg == 6.0);
  CHECK(sums.dd == 1.0 + 9.0 + 0.0 + 16.0);
  CHECK(sums.signed_elements == 3);
  CHECK(sums.equal_signs == 1);
  const reports::Agreement agreement = agreement_of(sums);
  CHECK(*agreement.cosine == doctest::Approx(-3.0 / std::sqrt(84.0)));
  CHECK(*agreement.relative_error == doctest::Approx(std::sqrt(26.0 / 6.0)));
  CHECK(*agreement.norm_ratio == doctest::Approx(std::sqrt(14.0 / 6.0)));
  CHECK(*agreement.sign_agreement == doctest::Approx(1.0 / 3.0));
}

TEST_CASE("equal gradients agree exactly, whatever their size and the number of threads") {
  at::manual_seed(4);
  const at::Tensor g = at::randn({3, 70'001}).mul(1e-12);
  const at::Tensor h = at::randn({3, 70'001});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const GradientSums alone = compare(h, g);
  at::set_num_threads(2);
  CHECK(compare(h, g) == alone);
  at::set_num_threads(threads);
  CHECK(agreement_of(compare(g, g)) == reports::Agreement{1.0, 0.0, 1.0, 1.0});
  CHECK(alone.hg == doctest::Approx(h.to(at::kDouble).mul(g).sum().item<double>()));
  // The same elements in another order of memory.
  CHECK(compare(g.t().contiguous().t(), g) == compare(g, g));
}

TEST_CASE("zero gradients: what can be said and what cannot") {
  const at::Tensor zero = values({0, 0}), one = values({0, 1});
  CHECK(agreement_of(compare(one, zero)) == reports::Agreement{});
  CHECK(agreement_of(compare(zero, one)) == reports::Agreement{0.0, 1.0, 0.0, 0.0});
  CHECK(compare(at::Tensor(), one) == compare(zero, one));
  CHECK_THROWS_AS(compare(values({1, 2, 3}), one), Error);
  CHECK_THROWS_AS(compare(values({1, 2}, at::kHalf), one), Error);
}

TEST_CASE("a running mean is the mean, and equal values scatter by nothing") {
  at::manual_seed(5);
  RunningMean mean, same;
  std::vector<at::Tensor> all;
  for (int i = 0; i < 5; ++i) all.push_back(at::randn({40'000}));
  for (const at::Tensor& value : all) mean.add(value);
  at::Tensor expected = at::zeros({40'000}, at::dtype(at::kDouble));
  for (const at::Tensor& value : all) expected.add_(value.to(at::kDouble), 0.2);
  double scatter = 0.0;
  for (const at::Tensor& value : all) {
    scatter += value.to(at::kDouble).sub(expected).square().sum().item<double>();
  }
  CHECK(mean.mean().allclose(expected, 1e-12, 1e-15));
  CHECK(mean.scatter() == doctest::Approx(scatter).epsilon(1e-12));
  for (int i = 0; i < 5; ++i) same.add(all[0]);
  CHECK(same.scatter() == 0.0);
  CHECK(same.mean().equal(all[0].to(at::kDouble)));
}

// ---- on models

Batch batch_of(const ImageGeometry& input, std::int64_t size) {
  Batch batch;
  batch.size = size;
  at::manual_seed(6);
  const at::Tensor images = at::randn({size * input.channels * input.height * input.width});
  batch.images.assign(images.data_ptr<float>(), images.data_ptr<float>() + images.numel());
  for (std::int64_t i = 0; i < size; ++i) batch.labels.push_back(i % input.classes);
  return batch;
}

enum class Kind { vit, convnext, resnet };

std::unique_ptr<Model> small_model(Kind kind, at::ScalarType type = at::kFloat,
                                   double drop_path = 0.0) {
  const BuildOptions build{.dtype = type, .seed = 3};
  if (kind == Kind::vit) {
    VitOptions options{.image = 16, .patch = 4, .dim = 12, .depth = 3, .heads = 3, .classes = 5};
    options.drop_path = drop_path;
    return make_vit(options, build);
  }
  if (kind == Kind::convnext) {
    ConvnextOptions options{.image = 16, .stem = 2, .depths = {1, 2}, .dims = {4, 6}, .classes = 5};
    options.drop_path = drop_path;
    return make_convnext(options, build);
  }
  const Spec spec = parse_spec("resnet18:classes=5,stem=small,width=4", "model", model_schemas());
  const ImageGeometry images{.channels = 3, .height = 32, .width = 32, .classes = 5};
  return build_model(fit_to_data(spec, images), build);
}

// A model with the gradients that strategies give on one batch of it.
class Bench {
 public:
  explicit Bench(Kind kind, at::ScalarType type = at::kFloat, double drop_path = 0.0)
      : model(small_model(kind, type, drop_path)),
        batch(batch_of(model->input(), 4)),
        optimizer(make_optimizer(parse_spec("adamw", "optimizer", optimizer_schemas()),
                                 model->parameters())) {}

  Plan plan(const std::string& strategy) const {
    return resolve(strategy, model->sites(), strategies());
  }
  std::vector<at::Tensor> gradients(const Plan& plan, StepObserver* observer = nullptr,
                                    MaskSource* masks = nullptr, std::uint32_t mask_step = 0) {
    KeyedMaskSource keyed(9);
    Trainer trainer(*model, plan, masks ? *masks : keyed, *optimizer, {.seed = 9});
    trainer.gradient(batch, {.step = 0, .mask_step = mask_step, .observer = observer});
    std::vector<at::Tensor> all;
    for (const Parameter& parameter : model->parameters()) all.push_back(parameter.value.grad());
    return all;
  }

  std::unique_ptr<Model> model;
  Batch batch;
  std::unique_ptr<Optimizer> optimizer;
};

GradientSums whole(const std::vector<at::Tensor>& h, const std::vector<at::Tensor>& g) {
  GradientSums total;
  for (std::size_t i = 0; i < g.size(); ++i) total += compare(h[i], g[i]);
  return total;
}

TEST_CASE("exact against exact is exactly 1, and taking a gradient changes nothing") {
  for (const Kind kind : {Kind::vit, Kind::convnext, Kind::resnet}) {
    CAPTURE(static_cast<int>(kind));
    Bench bench(kind, at::kFloat, 0.3);
    std::vector<at::Tensor> before;
    for (const Parameter& parameter : bench.model->parameters()) {
      before.push_back(parameter.value.detach().clone());
    }
    for (const Buffer& buffer : bench.model->buffers()) before.push_back(buffer.value.clone());
    const auto exact = bench.gradients(bench.plan("full"));
    std::vector<at::Tensor> after;
    for (const Parameter& parameter : bench.model->parameters()) {
      after.push_back(parameter.value.detach());
    }
    for (const Buffer& buffer : bench.model->buffers()) after.push_back(buffer.value);
    for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i].equal(before[i]));
    CHECK(bench.optimizer->steps() == 0);
    const reports::Agreement ones{1.0, 0.0, 1.0, 1.0};
    CHECK(agreement_of(whole(bench.gradients(bench.plan("full")), exact)) == ones);
    // The same draws of drop path under other masks; looked at from inside, the same bits.
    const std::vector<Candidate> none;
    ExactPass pass(*bench.model, none, {.seed = 9, .mask_steps = {0}, .keep_crossings = true});
    CHECK(agreement_of(whole(bench.gradients(bench.plan("full"), &pass, nullptr, 7), exact)) ==
          ones);
    const Crossings crossings = pass.take_crossings();
    CHECK(crossings.size() > 2);
    ExactSurroundings surroundings(crossings);
    CHECK(agreement_of(whole(bench.gradients(bench.plan("full"), &surroundings), exact)) == ones);
  }
}

TEST_CASE("one exact pass scores codes of weight gradients as passes of their own do") {
  for (const Kind kind : {Kind::vit, Kind::convnext, Kind::resnet}) {
    Bench bench(kind);
    for (const std::string strategy : {"dropit:gamma=0.9", "dropit:gamma=0.5,index=int32",
                                       "dropit:select=random,unbiased=yes"}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(strategy);
      const Plan plan = bench.plan(strategy);
      REQUIRE(changes_weight_gradients_alone(plan));
      const std::vector<Candidate> candidates = {candidate_of(plan, codecs_of(plan), 2)};
      ExactPass pass(*bench.model, candidates, {.seed = 9, .mask_steps = {3, 4}});
      const auto exact = bench.gradients(bench.plan("full"), &pass);
      const auto scores = pass.take_scores();
      std::size_t scored = 0;
      for (std::uint32_t draw = 0; draw < 2; ++draw) {
        const auto own = bench.gradients(plan, nullptr, nullptr, 3 + draw);
        for (std::size_t p = 0; p < exact.size(); ++p) {
          const GradientSums expected = compare(own[p], exact[p]);
          if (!scores[0][p]) {
            CHECK(expected.dd <= 1e-9 * expected.gg);  // left exact, to rounding
            continue;
          }
          ++scored;
          const GradientSums& sums = scores[0][p]->draws.at(draw);
          CHECK(sums.hh == doctest::Approx(expected.hh).epsilon(1e-5));
          CHECK(sums.hg == doctest::Approx(expected.hg).epsilon(1e-5));
          CHECK(sums.dd == doctest::Approx(expected.dd).epsilon(1e-4));
        }
      }
      CHECK(scored > 4);
    }
  }
}

TEST_CASE("exact surroundings change nothing for codes of weight gradients, and all for masks") {
  Bench bench(Kind::vit);
  const std::vector<Candidate> none;
  ExactPass pass(*bench.model, none, {.mask_steps = {}, .keep_crossings = true});
  const auto exact = bench.gradients(bench.plan("full"), &pass);
  const Crossings crossings = pass.take_crossings();
  ExactSurroundings surroundings(crossings);
  const Plan coded = bench.plan("dropit:gamma=0.8");
  CHECK(agreement_of(whole(bench.gradients(coded, &surroundings), bench.gradients(coded))) ==
        reports::Agreement{1.0, 0.0, 1.0, 1.0});
  for (const std::string strategy : {"sbp:keep=0.5,layers=all", "sbp:attention=qkv,layers=all",
                                     "sbp:attention=qkv_exact,layers=all"}) {
    CAPTURE(strategy);
    const Plan plan = without_departures(bench.plan(strategy));
    const auto local = bench.gradients(plan, &surroundings);
    const auto compounded = bench.gradients(plan);
    for (std::size_t p = 0; p < exact.size(); ++p) {
      const std::string& name = bench.model->parameters()[p].name;
      // Nothing is dropped outside the blocks.
      const bool outside = name.starts_with("patch_embed") || name.starts_with("head") ||
                           name.starts_with("norm") || name == "cls_token" || name == "pos_embed";
      const GradientSums sums = compare(local[p], exact[p]);
      if (outside) CHECK_MESSAGE(sums.dd == 0.0, name);
      if (name == "blocks.0.mlp.fc1.weight") {
        CHECK(sums.dd > 0.0);
        CHECK(compare(compounded[p], local[p]).dd > 0.0);  // what later blocks dropped
      }
    }
  }
}

// Keeps these cells, or all the others.
class ScriptedMasks : public MaskSource {
 public:
  enum class Keep { these, others, none };
  explicit ScriptedMasks(Keep keep) : keep_(keep) {}
  KeptCells draw(const MaskRequest& request) override {
    KeptCells cells;
    for (std::int64_t i = 0; i < request.geometry.cells() && keep_ != Keep::none; ++i) {
      if ((i % 3 == 0) == (keep_ == Keep::these)) cells.push_back(i);
    }
    return cells;
  }

 private:
  Keep keep_;
};

// In-depth SBP, section 3: dW = dW_keep + dW_drop, where rows outside the grid (the class token)
// are in both and so counted once too often.
TEST_CASE("in exact surroundings what is kept and what is dropped add up to the gradient") {
  for (const Kind kind : {Kind::vit, Kind::convnext}) {
    CAPTURE(static_cast<int>(kind));
    Bench bench(kind, at::kDouble);
    const std::vector<Candidate> none;
    ExactPass pass(*bench.model, none, {.mask_steps = {}, .keep_crossings = true});
    const auto exact = bench.gradients(bench.plan("full"), &pass);
    const Crossings crossings = pass.take_crossings();
    ExactSurroundings surroundings(crossings);
    const Plan plan = bench.plan("sbp:keep=0.5,mask=random,layers=all,mlp=store");
    const auto with = [&](ScriptedMasks::Keep keep) {
      ScriptedMasks masks(keep);
      return bench.gradients(plan, &surroundings, &masks);
    };
    const auto kept = with(ScriptedMasks::Keep::these), dropped = with(ScriptedMasks::Keep::others),
               neither = with(ScriptedMasks::Keep::none);
    for (std::size_t p = 0; p < exact.size(); ++p) {
      const std::string& name = bench.model->parameters()[p].name;
      CAPTURE(name);
      const bool is_masked =
          name.find("blocks") != std::string::npos && name.find("conv_dw") == std::string::npos;
      if (!is_masked) continue;
      at::Tensor sum = kept[p].add(dropped[p]);
      if (neither[p].defined()) sum = sum.sub(neither[p]);
      CHECK(compare(sum, exact[p]).dd <= 1e-24 * (compare(exact[p], exact[p]).gg + 1e-30));
      // The head reads the class token alone, and the last block drops nothing that it needs.
      const bool is_last = kind == Kind::vit && name.starts_with("blocks.2");
      const GradientSums one = compare(kept[p], exact[p]);
      CHECK((one.dd > 1e-24 * one.gg) == !is_last);
    }
  }
}

TEST_CASE("figures of masks: mean, bias and noise as their definitions say") {
  Bench bench(Kind::vit);
  const FidelityScopes scopes = scopes_of(*bench.model);
  const auto exact = bench.gradients(bench.plan("full"));
  const Plan plan = bench.plan("sbp:keep=0.5,mask=random,share=none,layers=all");
  constexpr std::uint32_t kMasks = 3;
  std::vector<ParameterScorer> scorers(exact.size());
  std::vector<std::vector<at::Tensor>> draws;
  for (std::uint32_t k = 0; k < kMasks; ++k) {
    draws.push_back(bench.gradients(plan, nullptr, nullptr, k));
    for (std::size_t p = 0; p < exact.size(); ++p) scorers[p].add(draws[k][p], exact[p]);
  }
  GradientScore score;
  double scatter = 0.0, bias = 0.0, square = 0.0;
  for (std::size_t p = 0; p < exact.size(); ++p) {
    score.push_back(std::move(scorers[p]).finish(exact[p]));
    at::Tensor mean = at::zeros_like(exact[p]).to(at::kDouble);
    for (const auto& draw : draws) mean.add_(draw[p].to(at::kDouble), 1.0 / kMasks);
    for (const auto& draw : draws) {
      scatter += draw[p].to(at::kDouble).sub(mean).square().sum().item<double>();
    }
    bias += mean.sub(exact[p]).square().sum().item<double>();
    square += exact[p].to(at::kDouble).square().sum().item<double>();
  }
  FidelityTally tally(scopes, /*drawn=*/true);
  tally.add(score);
  BatchVariance variance(exact.size(), 0.0);
  variance[0] = 2.0;
  const reports::MaskNoise noise = tally.noise(variance, 4);
  const double one = scatter / (kMasks - 1);
  CHECK(noise.masks == kMasks);
  CHECK(*noise.variance == doctest::Approx(one / square));
  CHECK(*noise.squared_bias == doctest::Approx((bias - one / kMasks) / square));
  CHECK(*noise.noise_ratio == doctest::Approx(one / 2.0));
  CHECK(*noise.effective_batch == doctest::Approx(4.0 / (1.0 + one / 2.0)));
  double cosine = 0.0;
  for (const auto& draw : draws) cosine += *cosine_of(whole(draw, exact)) / kMasks;
  CHECK(*tally.overall().cosine == doctest::Approx(cosine));
  const reports::LayerSpread spread = tally.over_layers().cosine;
  CHECK(*spread.minimum < *spread.mean);
  CHECK(*spread.mean < 1.0);
  CHECK(tally.layers(variance).size() == scopes.layers.size());
}

TEST_CASE("an update is what the optimizer does, and leaves it as it was") {
  for (const std::string text :
       {"adamw:lr=0.01", "sgd:lr=0.1,momentum=0.9", "rmsprop", "adagrad"}) {
    CAPTURE(text);
    const Spec spec = parse_spec(text, "optimizer", optimizer_schemas());
    Bench bench(Kind::vit, at::kDouble);
    const auto optimizer = make_optimizer(spec, bench.model->parameters());
    const Plan plan = bench.plan("full");
    KeyedMaskSource masks(1);
    Trainer trainer(*bench.model, plan, masks, *optimizer, {.seed = 1});
    trainer.step(bench.batch, 0, optimizer->learning_rate());
    trainer.gradient(bench.batch, {.step = 1});
    const UpdateRule rule(spec, *bench.model, *optimizer);
    std::vector<at::Tensor> expected, before;
    for (std::size_t p = 0; p < bench.model->parameters().size(); ++p) {
      const Parameter& parameter = bench.model->parameters()[p];
      expected.push_back(rule.update(p, parameter.value.grad()));
      before.push_back(parameter.value.detach().clone());
    }
    CHECK(optimizer->steps() == 1);
    optimizer->step(optimizer->learning_rate());
    for (std::size_t p = 0; p < expected.size(); ++p) {
      const at::Tensor moved = bench.model->parameters()[p].value.detach().sub(before[p]);
      CHECK_MESSAGE(moved.allclose(expected[p].to(at::kDouble), 1e-5, 1e-9),
                    bench.model->parameters()[p].name);
    }
  }
}

}  // namespace
}  // namespace sbp::experiments
