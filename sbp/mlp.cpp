#include "sbp/mlp.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "sbp/saved.h"

namespace sbp {
namespace {

namespace autograd = torch::autograd;

// [batch, k, width] -> [batch * k, width].
at::Tensor flat(const at::Tensor& x) {
  return x.reshape({-1, x.size(-1)});
}

at::Tensor column(const at::Tensor& x) {
  return x.unsqueeze(1);
}

// Edges: x, norm weight and bias, fc1 weight and bias, fc2 weight and bias, scale.
enum Edge : std::size_t { kX, kNormWeight, kNormBias, kWeight1, kBias1, kWeight2, kBias2, kScale };

struct MlpBackward : autograd::Node {
  explicit MlpBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    autograd::variable_list result(kScale + 1);
    if (!gradients[0].defined()) return result;
    const StepRows rows = dropping ? split.unpack() : StepRows{};
    const at::Tensor dy = dropping ? select_gradient(gradients[0], rows) : gradients[0];
    const at::Tensor dh = second_linear(flat(dy), result);
    const at::Tensor y = flat(fc1_input.unpack());
    result[kWeight1] = dh.t().mm(y);
    result[kBias1] = dh.sum(0);
    norm(dh.mm(fc1_weight.unpack()), rows, result);
    return result;
  }
  void release_variables() override {
    for (auto* saved : {&norm_input, &mean, &inverse_deviation, &fc1_input, &fc1_output,
                        &norm_weight, &norm_bias, &fc1_weight, &fc2_weight, &fc2_bias, &scale}) {
      saved->reset_data();
    }
    split.release();
  }
  std::string name() const override { return "MlpBackward"; }

  autograd::SavedVariable norm_input, mean, inverse_deviation, fc1_input, fc1_output;
  autograd::SavedVariable norm_weight, norm_bias, fc1_weight, fc2_weight, fc2_bias, scale;
  SavedRows split;
  at::ScalarType input_type = at::kFloat;
  bool scaled = false, dropping = false;
  Precision precision;

 private:
  at::Tensor activated(const at::Tensor& h) const {
    return at::gelu(precision.gelu_input(h)).to(h.scalar_type());
  }

  // From the gradient of the result to that of fc1's output: [batch * k, ...].
  at::Tensor second_linear(at::Tensor dy, autograd::variable_list& result) {
    const at::Tensor h = flat(fc1_output.unpack()), weight = fc2_weight.unpack();
    if (!scaled) {
      result[kWeight2] = dy.t().mm(activated(h));
      result[kBias2] = dy.sum(0);
    } else {
      // y = scale * (W a + b): with G = dy^T a, dW = scale G, and the row sums of W G are a's share
      // of the gradient of `scale`.
      const at::Tensor factor = scale.unpack(), sum = dy.sum(0);
      const at::Tensor outer = dy.to(weight.scalar_type()).t().mm(activated(h));
      result[kWeight2] = outer.mul(column(factor)).to(weight.scalar_type());
      result[kBias2] = sum.mul(factor).to(weight.scalar_type());
      result[kScale] =
          outer.mul(weight).sum(1, false, factor.scalar_type()).add_(sum.mul(fc2_bias.unpack()));
      dy = dy.mul(factor).to(weight.scalar_type());
    }
    const at::Tensor in = precision.gelu_input(h);
    return at::gelu_backward(dy.mm(weight).to(in.scalar_type()), in).to(h.scalar_type());
  }

  void norm(const at::Tensor& gradient, const StepRows& rows, autograd::variable_list& result) {
    const at::Tensor x = norm_input.unpack();
    auto [dx, dweight, dbias] = at::native_layer_norm_backward(
        gradient.view(x.sizes()).to(x.scalar_type()), x, {x.size(-1)}, mean.unpack(),
        inverse_deviation.unpack(), norm_weight.unpack(), norm_bias.unpack(), {true, true, true});
    result[kNormWeight] = dweight;
    result[kNormBias] = dbias;
    if (!task_should_compute_output(kX)) return;
    const at::Tensor some = dx.to(input_type);
    result[kX] = dropping ? spread_rows(some, rows.kept, split.rows()) : some;
  }
};

}  // namespace

at::Tensor mlp_function(const at::Tensor& x, const MlpWeights& weights, const MlpLayers& layers,
                        const StepRows* rows, const Precision& precision) {
  const bool recording = autograd::compute_requires_grad(
      x, weights.norm_weight, weights.norm_bias, weights.fc1_weight, weights.fc1_bias,
      weights.fc2_weight, weights.fc2_bias, weights.scale);
  auto node = c10::make_intrusive<MlpBackward>(autograd::collect_next_edges(
      x, weights.norm_weight, weights.norm_bias, weights.fc1_weight, weights.fc1_bias,
      weights.fc2_weight, weights.fc2_bias, weights.scale));
  const c10::NoGradGuard no_grad;
  const auto keep = [&](autograd::SavedVariable& place, const at::Tensor& value) {
    if (!recording) return;
    const at::Tensor kept = rows == nullptr ? value : select_rows(value, rows->kept);
    place = save_for_backward(kept, SaveLabel::value);
  };
  at::Tensor h;
  {
    const ScopedLayer scope(layers.norm);
    const at::Tensor in = precision.norm_input(x);
    auto [normed, mean, inverse_deviation] = at::native_layer_norm(
        in, {in.size(-1)}, weights.norm_weight, weights.norm_bias, weights.epsilon);
    keep(node->norm_input, in);
    keep(node->mean, mean);
    keep(node->inverse_deviation, inverse_deviation);
    h = std::move(normed);
  }
  {
    const ScopedLayer scope(layers.fc1);
    h = precision.operand(h);
    keep(node->fc1_input, h);
    h = at::linear(h, weights.fc1_weight, weights.fc1_bias);
  }
  {
    const ScopedLayer scope(layers.act);
    keep(node->fc1_output, h);
    // In place where kept rows are a copy: four units less at the height of the forward.
    at::Tensor in = precision.gelu_input(h);
    h = precision.operand(rows == nullptr ? at::gelu(in) : at::gelu_(in));
  }
  const ScopedLayer scope(layers.fc2);
  at::Tensor y = at::linear(h, weights.fc2_weight, weights.fc2_bias);
  if (weights.scale.defined()) y = y.mul(weights.scale);
  if (!recording) return y;
  const auto keep_weight = [](autograd::SavedVariable& place, const at::Tensor& weight) {
    place = save_for_backward(weight, SaveLabel::value);
  };
  keep_weight(node->norm_weight, weights.norm_weight);
  keep_weight(node->norm_bias, weights.norm_bias);
  keep_weight(node->fc1_weight, weights.fc1_weight);
  keep_weight(node->fc2_weight, weights.fc2_weight);
  node->scaled = weights.scale.defined();
  if (node->scaled) {
    keep_weight(node->fc2_bias, weights.fc2_bias);
    keep_weight(node->scale, weights.scale);
  }
  node->dropping = rows != nullptr;
  if (node->dropping) node->split.keep(*rows);
  node->input_type = x.scalar_type();
  node->precision = precision;
  autograd::set_history(y, node);
  return y;
}

}  // namespace sbp
