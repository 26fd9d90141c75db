#include "sbp/row_ops.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "sbp/saved.h"

namespace sbp {
namespace {

namespace autograd = torch::autograd;

std::vector<std::int64_t> with_rows(const at::Tensor& x, std::int64_t rows) {
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.at(1) = rows;
  return sizes;
}

struct TakeRowsBackward : autograd::Node {
  explicit TakeRowsBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    const at::Tensor& gradient = gradients[0];
    if (!gradient.defined()) return {at::Tensor()};
    at::Tensor full = at::zeros(with_rows(gradient, rows), gradient.options());
    full.index_copy_(1, kept.unpack(), gradient);
    return {full};
  }
  void release_variables() override { kept.reset_data(); }
  std::string name() const override { return "TakeRowsBackward"; }

  autograd::SavedVariable kept;
  std::int64_t rows = 0;
};

struct PutRowsBackward : autograd::Node {
  explicit PutRowsBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    const at::Tensor& gradient = gradients[0];
    if (!gradient.defined()) return {at::Tensor()};
    return {at::index_select(gradient, 1, kept.unpack())};
  }
  void release_variables() override { kept.reset_data(); }
  std::string name() const override { return "PutRowsBackward"; }

  autograd::SavedVariable kept;
};

}  // namespace

at::Tensor take_rows(const at::Tensor& x, const at::Tensor& kept) {
  at::Tensor taken;
  {
    const c10::NoGradGuard no_grad;
    taken = at::index_select(x, 1, kept);
  }
  if (autograd::compute_requires_grad(x)) {
    auto node = c10::make_intrusive<TakeRowsBackward>(autograd::collect_next_edges(x));
    node->kept = save_for_backward(kept, SaveLabel::index);
    node->rows = x.size(1);
    autograd::set_history(taken, node);
  }
  return taken;
}

at::Tensor put_rows(const at::Tensor& kept_rows, const at::Tensor& dropped_rows,
                    const StepRows& rows) {
  at::Tensor whole;
  {
    const c10::NoGradGuard no_grad;
    whole = at::empty(with_rows(kept_rows, rows.rows()), kept_rows.options());
    whole.index_copy_(1, rows.kept, kept_rows);
    whole.index_copy_(1, rows.dropped, dropped_rows);
  }
  if (autograd::compute_requires_grad(kept_rows)) {
    auto node = c10::make_intrusive<PutRowsBackward>(autograd::collect_next_edges(kept_rows));
    node->kept = save_for_backward(rows.kept, SaveLabel::index);
    autograd::set_history(whole, node);
  }
  return whole;
}

}  // namespace sbp
