#include "sbp/recompute.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "sbp/saved.h"

namespace sbp {
namespace {

namespace autograd = torch::autograd;

struct RecomputeBackward : autograd::Node {
  explicit RecomputeBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    const ScopedLayer scope(layer);
    const c10::AutoGradMode record(true);
    at::Tensor again = input.unpack().detach();
    again.requires_grad_(true);
    // Parameters inside the body accumulate their own gradient in this nested backward.
    autograd::backward({body(again)}, {gradients[0]});
    return {again.grad()};
  }
  void release_variables() override {
    input.reset_data();
    body = nullptr;
  }
  std::string name() const override { return "RecomputeBackward"; }

  autograd::SavedVariable input;
  RowFunction body;
  LayerId layer = kNoLayer;
};

}  // namespace

at::Tensor recompute(LayerId layer, const at::Tensor& x, RowFunction body) {
  // x does not require gradient only in the first layer of a network; the body's parameters
  // would then go without, so that case is run as it is.
  if (!autograd::compute_requires_grad(x)) return body(x);
  at::Tensor result;
  {
    const c10::NoGradGuard no_grad;
    result = body(x);
  }
  auto node = c10::make_intrusive<RecomputeBackward>(autograd::collect_next_edges(x));
  node->input = save_for_backward(x, SaveLabel::value);
  node->body = std::move(body);
  node->layer = layer;
  autograd::set_history(result, node);
  return result;
}

}  // namespace sbp
