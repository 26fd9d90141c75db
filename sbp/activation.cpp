#include "sbp/activation.h"

#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/threshold_backward.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "sbp/base/error.h"

namespace sbp {
namespace {

namespace autograd = torch::autograd;

constexpr double kSix = 6.0;

struct CodedReluBackward : autograd::Node {
  explicit CodedReluBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    return {at::threshold_backward(gradients[0], result.decode(), 0)};
  }
  void release_variables() override { result.release(); }
  std::string name() const override { return "CodedReluBackward"; }

  SavedCode result;
};

at::Tensor activate_in_place(Activation kind, at::Tensor x) {
  switch (kind) {
    case Activation::relu: return at::relu_(x);
    case Activation::relu6: return at::hardtanh_(x, 0.0, kSix);
    case Activation::hardswish: return at::hardswish_(x);
    case Activation::hardsigmoid: return at::hardsigmoid_(x);
    case Activation::sigmoid: return at::sigmoid_(x);
  }
  throw Error("an activation of no known kind");
}

}  // namespace

at::Tensor activate(Activation kind, const at::Tensor& x, bool in_place) {
  if (in_place) return activate_in_place(kind, x);
  switch (kind) {
    case Activation::relu: return at::relu(x);
    case Activation::relu6: return at::hardtanh(x, 0.0, kSix);
    case Activation::hardswish: return at::hardswish(x);
    case Activation::hardsigmoid: return at::hardsigmoid(x);
    case Activation::sigmoid: return at::sigmoid(x);
  }
  throw Error("an activation of no known kind");
}

at::Tensor coded_relu(const at::Tensor& x, const Coding& coding) {
  const bool recording = autograd::compute_requires_grad(x);
  auto node = recording ? c10::make_intrusive<CodedReluBackward>(autograd::collect_next_edges(x))
                        : c10::intrusive_ptr<CodedReluBackward>();
  const c10::NoGradGuard no_grad;
  at::Tensor y = at::relu(x);
  if (!recording) return y;
  node->result.keep(y, coding);
  autograd::set_history(y, node);
  return y;
}

}  // namespace sbp
