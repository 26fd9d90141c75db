// Masks as estimators of the exact gradient: unbiased where that is claimed, and samples apart.
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include "experiments/models/convnext.h"
#include "experiments/models/vit.h"
#include "experiments/strategies.h"
#include "sbp/base/error.h"
#include "sbp/execution.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

std::unique_ptr<Model> small_model(const std::string& name) {
  const BuildOptions build{.dtype = at::kDouble, .seed = 3};
  if (name == "vit") {
    return make_vit({.image = 16, .patch = 4, .dim = 12, .depth = 2, .heads = 3, .classes = 5},
                    build);
  }
  return make_convnext({.image = 16, .stem = 2, .depths = {1, 1}, .dims = {4, 6}, .classes = 5},
                       build);
}

// All gradients of one step, end to end.
class Gradients {
 public:
  Gradients(const std::string& model, const std::string& strategy)
      : model_(small_model(model)),
        plan_(resolve(strategy, model_->sites(), strategies())),
        masks_(8),
        run_(model_->sites(), plan_, masks_) {
    at::manual_seed(2);
    images_ = at::randn({3, 3, 16, 16}, at::dtype(at::kDouble));
    labels_ = at::randint(5, {3}, at::dtype(at::kLong));
  }

  at::Tensor of_step(std::uint32_t step) {
    run_.begin_step({.step = step, .batch = 3});
    const at::Tensor logits = model_->forward(run_, images_);
    torch::autograd::backward({at::cross_entropy_loss(logits, labels_)});
    std::vector<at::Tensor> flat;
    for (const Parameter& parameter : model_->parameters()) {
      flat.push_back(parameter.value.grad().flatten().clone());
      parameter.value.mutable_grad() = at::Tensor();
    }
    return at::cat(flat);
  }

 private:
  std::unique_ptr<Model> model_;
  Plan plan_;
  KeyedMaskSource masks_;
  Execution run_;
  at::Tensor images_, labels_;
};

// |mean of K masked gradients - exact|^2 over what K independent ones of their variance leave: near
// 1 without bias, and growing with K with one.
double squared_error_ratio(const std::string& model, const std::string& strategy, int masks) {
  const at::Tensor exact = Gradients(model, "full").of_step(0);
  Gradients masked(model, strategy);
  at::Tensor sum = at::zeros_like(exact), squares = at::zeros_like(exact);
  for (int i = 0; i < masks; ++i) {
    const at::Tensor error = masked.of_step(static_cast<std::uint32_t>(i)).sub(exact);
    sum.add_(error);
    squares.add_(error.square());
  }
  const at::Tensor mean = sum.div(masks);
  const double variance = squares.div(masks).sub(mean.square()).sum().item<double>();
  return mean.square().sum().item<double>() / (variance / masks);
}

TEST_CASE("unbiased masks average to the exact gradient at the rate of independent ones") {
  for (const std::string strategy :
       {"sbp:unbiased=yes,share=layer,layers=all",
        "sbp:unbiased=yes,share=none,mask=exact,layers=all",
        "sbp:unbiased=yes,share=layer,mask=random,keep=0.3,layers=all,mlp=store",
        "sbp:unbiased=yes,share=layer,mask=stratified,layers=all,proj=all",
        "sbp:unbiased=yes,share=layer,mask=exact,attention=head,layers=all"}) {
    CAPTURE(strategy);
    // Dozens of independent directions: the ratio's spread is well below 1.
    CHECK(squared_error_ratio("vit", strategy, 600) < 2.0);
  }
  CHECK(squared_error_ratio("convnext", "sbp:unbiased=yes,share=layer,mask=exact,layers=all", 600) <
        2.0);
}

TEST_CASE("the test of bias sees bias: without weights, and of keys that are cut") {
  for (const std::string strategy :
       {"sbp:share=layer,layers=all", "sbp:share=layer,attention=qkv_exact,layers=all"}) {
    CAPTURE(strategy);
    CHECK(squared_error_ratio("vit", strategy, 600) > 20.0);
  }
}

// Sample `sample` of a batch keeps what it is told.
class MasksOfSamples : public MaskSource {
 public:
  explicit MasksOfSamples(std::vector<KeptCells> cells) : cells_(std::move(cells)) {}
  KeptCells draw(const MaskRequest& request) override {
    return cells_.at(static_cast<std::size_t>(request.sample));
  }

 private:
  std::vector<KeptCells> cells_;
};

TEST_CASE("a batch of samples with masks of their own is the sum of its samples") {
  const at::Tensor images = at::randn({2, 3, 16, 16}, at::dtype(at::kDouble));
  const at::Tensor labels = at::randint(5, {2}, at::dtype(at::kLong));
  const std::vector<KeptCells> cells = {{0, 3, 5, 6, 9, 10, 12, 15}, {1, 2, 4, 7, 8, 11, 13, 14}};
  for (const std::string attention : {"query", "qkv", "qkv_exact"}) {
    for (const std::string mlp : {"function", "store"}) {
      const std::string text =
          concat("sbp:share=sample,layers=all,attention=", attention, ",mlp=", mlp);
      CAPTURE(text);
      const auto gradients = [&](const at::Tensor& some, const at::Tensor& classes,
                                 std::vector<KeptCells> masks_of) {
        const auto model = small_model("vit");
        const Plan plan = resolve(text, model->sites(), strategies());
        MasksOfSamples masks(std::move(masks_of));
        Execution run(model->sites(), plan, masks);
        run.begin_step({.batch = some.size(0)});
        const at::Tensor logits = model->forward(run, some);
        torch::autograd::backward(
            {at::cross_entropy_loss(logits, classes, {}, at::Reduction::Sum)});
        std::vector<at::Tensor> flat;
        for (const Parameter& parameter : model->parameters()) {
          flat.push_back(parameter.value.grad().flatten());
        }
        return at::cat(flat);
      };
      const at::Tensor both = gradients(images, labels, cells);
      const at::Tensor apart =
          gradients(images.narrow(0, 0, 1), labels.narrow(0, 0, 1), {cells[0]})
              .add(gradients(images.narrow(0, 1, 1), labels.narrow(0, 1, 1), {cells[1]}));
      CHECK(both.sub(apart).abs().max().item<double>() <= 1e-12 * apart.abs().max().item<double>());
    }
  }
}

}  // namespace
}  // namespace sbp::experiments
