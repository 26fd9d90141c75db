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
    return {spread_rows(gradient, split.unpack().kept, split.rows())};
  }
  void release_variables() override { split.release(); }
  std::string name() const override { return "TakeRowsBackward"; }

  SavedRows split;
};

struct PutRowsBackward : autograd::Node {
  explicit PutRowsBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    const at::Tensor& gradient = gradients[0];
    if (!gradient.defined()) return {at::Tensor()};
    return {select_gradient(gradient, split.unpack())};
  }
  void release_variables() override { split.release(); }
  std::string name() const override { return "PutRowsBackward"; }

  SavedRows split;
};

}  // namespace

void SavedRows::keep(const StepRows& rows) {
  kept_ = std::make_shared<autograd::SavedVariable>(save_for_backward(rows.kept, SaveLabel::index));
  weight_ = rows.weight;
  leading_ = rows.leading;
  rows_ = rows.rows();
}

StepRows SavedRows::unpack() const {
  return {.kept = kept_->unpack(), .dropped = {}, .weight = weight_, .leading = leading_};
}

at::Tensor select_rows(const at::Tensor& x, const at::Tensor& index) {
  const c10::NoGradGuard no_grad;
  if (index.dim() == 1) return at::index_select(x, 1, index);
  return at::index_select(x.flatten(0, 1), 0, index.flatten())
      .unflatten(0, {index.size(0), index.size(1)});
}

void write_rows(const at::Tensor& whole, const at::Tensor& index, const at::Tensor& some) {
  const c10::NoGradGuard no_grad;
  if (index.dim() == 1) {
    whole.index_copy_(1, index, some);
  } else {
    whole.flatten(0, 1).index_copy_(0, index.flatten(), some.flatten(0, 1));
  }
}

at::Tensor spread_rows(const at::Tensor& some, const at::Tensor& index, std::int64_t rows) {
  at::Tensor whole = at::zeros(with_rows(some, rows), some.options());
  write_rows(whole, index, some);
  return whole;
}

at::Tensor select_gradient(const at::Tensor& gradient, const StepRows& rows) {
  const at::Tensor kept = select_rows(gradient, rows.kept);
  if (rows.weight != 1.0) {
    kept.narrow(1, rows.leading, rows.kept_count() - rows.leading).mul_(rows.weight);
  }
  return kept;
}

at::Tensor take_rows(const at::Tensor& x, const StepRows& rows) {
  at::Tensor taken = select_rows(x, rows.kept);
  if (autograd::compute_requires_grad(x)) {
    auto node = c10::make_intrusive<TakeRowsBackward>(autograd::collect_next_edges(x));
    node->split.keep(rows);
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
    write_rows(whole, rows.kept, kept_rows);
    write_rows(whole, rows.dropped, dropped_rows);
  }
  if (autograd::compute_requires_grad(kept_rows)) {
    auto node = c10::make_intrusive<PutRowsBackward>(autograd::collect_next_edges(kept_rows));
    node->split.keep(rows);
    autograd::set_history(whole, node);
  }
  return whole;
}

}  // namespace sbp
