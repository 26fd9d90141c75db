#include "sbp/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/bmm.h>
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

// [batch, rows, heads, d] -> [batch * heads, rows, d], always a copy: a view would keep the whole
// packed projection alive.
at::Tensor by_head(const at::Tensor& x) {
  return x.transpose(1, 2).clone(at::MemoryFormat::Contiguous).flatten(0, 1);
}

// [batch * heads, rows, d] -> [batch, rows, heads * d].
at::Tensor by_row(const at::Tensor& x, std::int64_t batch) {
  return x.unflatten(0, {batch, x.size(0) / batch})
      .transpose(1, 2)
      .reshape({batch, x.size(1), x.size(2) * (x.size(0) / batch)});
}

// q [batch, rows', heads, d]; k, v [batch * heads, rows, d].
at::Tensor eager_core(const at::Tensor& query, const at::Tensor& k, const at::Tensor& v,
                      double scale, const Precision& precision) {
  const at::Tensor q = by_head(query).mul_(scale);
  const at::Tensor map = precision.softmax(at::bmm(q, k.transpose(1, 2)));
  return by_row(at::bmm(map, v), query.size(0));
}

AttentionRows eager_kept_queries(const AttentionInputs& in, const StepRows& rows,
                                 const Precision& precision) {
  const at::Tensor k = by_head(in.key);
  const at::Tensor v = by_head(in.value);
  AttentionRows result;
  {
    // Dropped rows first: their transient map is gone before kept rows save theirs.
    const c10::NoGradGuard no_grad;
    result.dropped =
        eager_core(at::index_select(in.query, 1, rows.dropped), k, v, in.scale, precision);
  }
  result.kept = eager_core(take_rows(in.query, rows.kept), k, v, in.scale, precision);
  return result;
}

// Flash forward once over all queries; backward over kept ones.
struct FlashKeptBackward : autograd::Node {
  explicit FlashKeptBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
    const at::Tensor q = query.unpack();  // [batch, k, heads, d]
    const at::Tensor gradient = gradients[0].reshape(q.sizes());
    auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        gradient.transpose(1, 2), q.transpose(1, 2), key.unpack().transpose(1, 2),
        value.unpack().transpose(1, 2), output.unpack().transpose(1, 2),
        row_sums.unpack().transpose(1, 2), 0.0, false, {}, scale);
    at::Tensor dq_all = at::zeros({q.size(0), rows, q.size(2), q.size(3)}, q.options());
    dq_all.index_copy_(1, kept.unpack(), dq.transpose(1, 2));
    return {dq_all, dk.transpose(1, 2), dv.transpose(1, 2)};
  }
  void release_variables() override {
    for (auto* saved : {&query, &key, &value, &output, &row_sums, &kept}) saved->reset_data();
  }
  std::string name() const override { return "FlashKeptBackward"; }

  autograd::SavedVariable query, key, value, output, row_sums, kept;
  std::int64_t rows = 0;
  double scale = 1.0;
};

AttentionRows fused_kept_queries(const AttentionInputs& in, const StepRows& rows) {
  const bool recording = autograd::compute_requires_grad(in.query, in.key, in.value);
  const c10::NoGradGuard no_grad;
  auto [out, sums] = at::_scaled_dot_product_flash_attention_for_cpu(
      in.query.transpose(1, 2), in.key.transpose(1, 2), in.value.transpose(1, 2), 0.0, false, {},
      in.scale);
  out = out.transpose(1, 2);    // [batch, rows, heads, d]
  sums = sums.transpose(1, 2);  // [batch, rows, heads]
  const at::Tensor kept = at::index_select(out, 1, rows.kept);
  AttentionRows result{kept.flatten(2), at::index_select(out, 1, rows.dropped).flatten(2)};
  if (!recording) return result;
  auto node = c10::make_intrusive<FlashKeptBackward>(
      autograd::collect_next_edges(in.query, in.key, in.value));
  node->query = save_for_backward(at::index_select(in.query, 1, rows.kept), SaveLabel::value);
  // Copies: views would keep the packed projection, queries of dropped rows included.
  node->key = save_for_backward(in.key.clone(at::MemoryFormat::Contiguous), SaveLabel::value);
  node->value = save_for_backward(in.value.clone(at::MemoryFormat::Contiguous), SaveLabel::value);
  node->output = save_for_backward(kept, SaveLabel::value);
  node->row_sums = save_for_backward(at::index_select(sums, 1, rows.kept), SaveLabel::value);
  node->kept = save_for_backward(rows.kept, SaveLabel::index);
  node->rows = in.query.size(1);
  node->scale = in.scale;
  autograd::set_history(result.kept, node);
  return result;
}

AttentionInputs operands(const AttentionInputs& in, const Precision& precision) {
  AttentionInputs result = in;
  for (auto* part : {&result.query, &result.key, &result.value}) *part = precision.operand(*part);
  return result;
}

}  // namespace

at::Tensor attend(const AttentionInputs& inputs, const Precision& precision) {
  const AttentionInputs in = operands(inputs, precision);
  if (!in.fused) {
    return eager_core(in.query, by_head(in.key), by_head(in.value), in.scale, precision);
  }
  const at::Tensor out = std::get<0>(at::_scaled_dot_product_flash_attention_for_cpu(
      in.query.transpose(1, 2), in.key.transpose(1, 2), in.value.transpose(1, 2), 0.0, false, {},
      in.scale));
  return out.transpose(1, 2).flatten(2);
}

AttentionRows attend_kept_queries(const AttentionInputs& inputs, const StepRows& rows,
                                  const Precision& precision) {
  const AttentionInputs in = operands(inputs, precision);
  return in.fused ? fused_kept_queries(in, rows) : eager_kept_queries(in, rows, precision);
}

}  // namespace sbp
