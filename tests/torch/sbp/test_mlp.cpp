// An MLP as one node against the same MLP layer by layer.
#include <ATen/ops/arange.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include "sbp/mlp.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp {
namespace {

constexpr std::int64_t kBatch = 3, kRows = 7, kWidth = 8, kHidden = 20;

struct Fixture {
  MlpWeights weights;
  at::Tensor x;
  std::vector<at::Tensor> leaves;

  explicit Fixture(bool scaled) {
    at::manual_seed(4);
    const auto leaf = [&](std::vector<std::int64_t> shape) {
      at::Tensor tensor = at::randn(shape, at::dtype(at::kDouble)).requires_grad_(true);
      leaves.push_back(tensor);
      return tensor;
    };
    x = leaf({kBatch, kRows, kWidth});
    weights.norm_weight = leaf({kWidth});
    weights.norm_bias = leaf({kWidth});
    weights.fc1_weight = leaf({kHidden, kWidth});
    weights.fc1_bias = leaf({kHidden});
    weights.fc2_weight = leaf({kWidth, kHidden});
    weights.fc2_bias = leaf({kWidth});
    if (scaled) weights.scale = leaf({kWidth});
  }

  at::Tensor by_layer(const at::Tensor& rows) const {
    const MlpWeights& w = weights;
    at::Tensor h = at::layer_norm(rows, {kWidth}, w.norm_weight, w.norm_bias, w.epsilon);
    h = at::linear(at::gelu(at::linear(h, w.fc1_weight, w.fc1_bias)), w.fc2_weight, w.fc2_bias);
    return w.scale.defined() ? h.mul(w.scale) : h;
  }

  // Gradients of all leaves, which then have none.
  std::vector<at::Tensor> gradients_of(const at::Tensor& y, const at::Tensor& gradient) {
    torch::autograd::backward({y}, {gradient});
    std::vector<at::Tensor> gradients;
    for (at::Tensor& leaf : leaves) {
      gradients.push_back(leaf.grad().clone());
      leaf.mutable_grad() = at::Tensor();
    }
    return gradients;
  }
};

void check_close(const std::vector<at::Tensor>& got, const std::vector<at::Tensor>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    const double scale = expected[i].abs().max().item<double>();
    CHECK(scale > 0.0);
    CHECK(got[i].sub(expected[i]).abs().max().item<double>() <= 1e-12 * scale);
  }
}

TEST_CASE("an MLP as one node has the value bit for bit, and the gradients of kept rows") {
  for (const bool scaled : {false, true}) {
    CAPTURE(scaled);
    Fixture mlp(scaled);
    const at::Tensor gradient = at::randn({kBatch, kRows, kWidth}, at::dtype(at::kDouble));
    const at::Tensor order = at::arange(kRows);
    const StepRows rows{.kept = order.slice(0, 0, kRows, 2),  // 0 2 4 6
                        .dropped = order.slice(0, 1, kRows, 2),
                        .weight = 2.5,
                        .leading = 1};
    const at::Tensor y = mlp_function(mlp.x, mlp.weights, {}, &rows, {});
    CHECK(y.equal(mlp.by_layer(mlp.x)));
    const at::Tensor kept = mlp.by_layer(take_rows(mlp.x, rows));
    check_close(mlp.gradients_of(y, gradient),
                mlp.gradients_of(put_rows(kept, select_rows(y, rows.dropped), rows), gradient));
  }
}

TEST_CASE("without dropping it is the whole MLP") {
  for (const bool scaled : {false, true}) {
    Fixture mlp(scaled);
    const at::Tensor gradient = at::randn({kBatch, kRows, kWidth}, at::dtype(at::kDouble));
    const at::Tensor y = mlp_function(mlp.x, mlp.weights, {}, nullptr, {});
    CHECK(y.equal(mlp.by_layer(mlp.x)));
    check_close(mlp.gradients_of(y, gradient), mlp.gradients_of(mlp.by_layer(mlp.x), gradient));
  }
}

TEST_CASE("in 16 bit it is as near the exact gradient as the MLP layer by layer") {
  for (const at::ScalarType low : {at::kBFloat16, at::kHalf}) {
    for (const bool scaled : {false, true}) {
      Fixture exact(scaled);
      const at::Tensor gradient = at::randn({kBatch, kRows, kWidth}, at::dtype(at::kDouble));
      const auto expected = exact.gradients_of(exact.by_layer(exact.x), gradient);
      Fixture mixed(scaled);
      const Precision precision{.low = low};
      for (at::Tensor& leaf : mixed.leaves)
        leaf = leaf.detach().to(at::kFloat).requires_grad_(true);
      const auto& leaf = mixed.leaves;
      MlpWeights w{.norm_weight = leaf[1],
                   .norm_bias = leaf[2],
                   .fc1_weight = leaf[3].to(low),
                   .fc1_bias = leaf[4].to(low),
                   .fc2_weight = leaf[5].to(low),
                   .fc2_bias = leaf[6].to(low),
                   .scale = scaled ? leaf[7] : at::Tensor()};
      const at::Tensor y = mlp_function(leaf[0], w, {}, nullptr, precision);
      CHECK((y.scalar_type() == (scaled ? at::kFloat : low)));
      const auto got = mixed.gradients_of(y, gradient.to(y.scalar_type()));
      for (std::size_t i = 0; i < got.size(); ++i) {
        CAPTURE(c10::toString(low));
        CAPTURE(scaled);
        CAPTURE(i);
        CHECK((got[i].scalar_type() == at::kFloat));
        const double scale = expected[i].abs().max().item<double>();
        const double error = got[i].to(at::kDouble).sub(expected[i]).abs().max().item<double>();
        // Digits: 8 and 11 bits, over sums of twenty products.
        CHECK(error <= (low == at::kHalf ? 0.005 : 0.04) * scale);
      }
    }
  }
}

TEST_CASE("parameters that need no gradient get none, and without any nothing is recorded") {
  Fixture mlp(true);
  const at::Tensor gradient = at::randn({kBatch, kRows, kWidth}, at::dtype(at::kDouble));
  const auto expected =
      mlp.gradients_of(mlp_function(mlp.x, mlp.weights, {}, nullptr, {}), gradient);
  mlp.weights.fc1_weight.requires_grad_(false);
  mlp.weights.scale.requires_grad_(false);
  torch::autograd::backward({mlp_function(mlp.x, mlp.weights, {}, nullptr, {})}, {gradient});
  CHECK_FALSE(mlp.weights.fc1_weight.grad().defined());
  CHECK_FALSE(mlp.weights.scale.grad().defined());
  CHECK(mlp.x.grad().equal(expected[0]));
  CHECK(mlp.weights.fc2_weight.grad().equal(expected[5]));
  for (at::Tensor& leaf : mlp.leaves) leaf.requires_grad_(false);
  CHECK_FALSE(mlp_function(mlp.x, mlp.weights, {}, nullptr, {}).requires_grad());
}

TEST_CASE("no kept row is no gradient, and no failure") {
  Fixture mlp(true);
  const StepRows rows{.kept = at::arange(0), .dropped = at::arange(kRows)};
  const at::Tensor y = mlp_function(mlp.x, mlp.weights, {}, &rows, {});
  for (const at::Tensor& gradient : mlp.gradients_of(y, at::ones_like(y))) {
    CHECK(gradient.abs().max().item<double>() == 0.0);
  }
}

}  // namespace
}  // namespace sbp
