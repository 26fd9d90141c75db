#include "sbp/coded_ops.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

namespace sbp {
namespace {

namespace autograd = torch::autograd;

struct CodedLinearBackward : autograd::Node {
  explicit CodedLinearBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    const at::Tensor& gradient = gradients[0];
    if (!gradient.defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
    const at::Tensor rows = gradient.reshape({-1, gradient.size(-1)});
    autograd::variable_list result(3);
    // The weight gradient first: the decoded input is gone before the input gradient is made.
    if (task_should_compute_output(1)) {
      result[1] = linear_weight_gradient(input.decode(), gradient);
    }
    if (task_should_compute_output(0)) {
      result[0] = rows.mm(weight.unpack()).view(input.coded().sizes);
    }
    if (task_should_compute_output(2)) result[2] = rows.sum(0);
    return result;
  }
  void release_variables() override {
    input.release();
    weight.reset_data();
  }
  std::string name() const override { return "CodedLinearBackward"; }

  SavedCode input;
  autograd::SavedVariable weight;
};

struct CodedGeluBackward : autograd::Node {
  explicit CodedGeluBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    return {gradients[0].mul(derivative.decode())};
  }
  void release_variables() override { derivative.release(); }
  std::string name() const override { return "CodedGeluBackward"; }

  SavedCode derivative;
};

}  // namespace

at::Tensor linear_weight_gradient(const at::Tensor& x, const at::Tensor& gradient) {
  return gradient.reshape({-1, gradient.size(-1)}).t().mm(x.reshape({-1, x.size(-1)}));
}

at::Tensor coded_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const Coding& coding) {
  // A frozen weight needs no input kept.
  if (!autograd::compute_requires_grad(weight)) return at::linear(x, weight, bias);
  auto node =
      c10::make_intrusive<CodedLinearBackward>(autograd::collect_next_edges(x, weight, bias));
  const c10::NoGradGuard no_grad;
  at::Tensor y = at::linear(x, weight, bias);
  node->input.keep(x, coding);
  node->weight = save_for_backward(weight, SaveLabel::value);
  autograd::set_history(y, node);
  return y;
}

at::Tensor coded_gelu(const at::Tensor& x, const Coding& coding) {
  const bool recording = autograd::compute_requires_grad(x);
  const c10::NoGradGuard no_grad;
  at::Tensor y = at::gelu(x);
  if (!recording) return y;
  auto node = c10::make_intrusive<CodedGeluBackward>(autograd::collect_next_edges(x));
  node->derivative.keep(at::gelu_backward(at::ones_like(x), x), coding);
  autograd::set_history(y, node);
  return y;
}

}  // namespace sbp
