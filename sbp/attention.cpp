#include "sbp/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
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
    result.dropped = eager_core(select_rows(in.query, rows.dropped), k, v, in.scale, precision);
  }
  result.kept = eager_core(take_rows(in.query, rows), k, v, in.scale, precision);
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
    const at::Tensor dq_all = spread_rows(dq.transpose(1, 2), split.unpack().kept, split.rows());
    return {dq_all, dk.transpose(1, 2), dv.transpose(1, 2)};
  }
  void release_variables() override {
    for (auto* saved : {&query, &key, &value, &output, &row_sums}) saved->reset_data();
    split.release();
  }
  std::string name() const override { return "FlashKeptBackward"; }

  autograd::SavedVariable query, key, value, output, row_sums;
  SavedRows split;
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
  const at::Tensor kept = select_rows(out, rows.kept);
  AttentionRows result{kept.flatten(2), select_rows(out, rows.dropped).flatten(2)};
  if (!recording) return result;
  auto node = c10::make_intrusive<FlashKeptBackward>(
      autograd::collect_next_edges(in.query, in.key, in.value));
  node->query = save_for_backward(select_rows(in.query, rows.kept), SaveLabel::value);
  // Copies: views would keep the packed projection, queries of dropped rows included.
  node->key = save_for_backward(in.key.clone(at::MemoryFormat::Contiguous), SaveLabel::value);
  node->value = save_for_backward(in.value.clone(at::MemoryFormat::Contiguous), SaveLabel::value);
  node->output = save_for_backward(kept, SaveLabel::value);
  node->row_sums = save_for_backward(select_rows(sums, rows.kept), SaveLabel::value);
  node->split.keep(rows);
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

AttentionRows attend_split(const AttentionInputs& kept, const AttentionInputs& dropped,
                           bool sees_dropped, const Precision& precision) {
  // Dropped keys after kept ones: a sum over keys has no order.
  AttentionInputs whole = kept;
  whole.key = at::cat({kept.key, dropped.key}, 1);
  whole.value = at::cat({kept.value, dropped.value}, 1);
  AttentionRows result;
  {
    const c10::NoGradGuard no_grad;
    AttentionInputs in = dropped;
    in.key = whole.key;
    in.value = whole.value;
    result.dropped = attend(in, precision);
  }
  // A copy: the view would keep the packed projection of kept rows beside the whole k and v.
  if (sees_dropped && whole.fused) whole.query = whole.query.clone(at::MemoryFormat::Contiguous);
  result.kept = attend(sees_dropped ? whole : kept, precision);
  return result;
}

at::Tensor attend_kept_heads(const AttentionInputs& inputs, const StepRows& heads,
                             const Precision& precision) {
  // Heads take the place of rows: [batch, heads, rows, head_dim].
  const auto some_heads = [&](const auto& pick) {
    AttentionInputs in = inputs;
    for (auto* part : {&in.query, &in.key, &in.value}) {
      *part = pick(part->transpose(1, 2)).transpose(1, 2);
    }
    // The flash kernel takes no empty batch of heads.
    in.fused = in.fused && in.query.size(2) > 0;
    const at::Tensor out = attend(in, precision);
    return out.unflatten(2, {in.query.size(2), inputs.query.size(3)}).transpose(1, 2);
  };
  at::Tensor dropped;
  {
    const c10::NoGradGuard no_grad;
    dropped = some_heads([&](const at::Tensor& x) { return select_rows(x, heads.dropped); });
  }
  const at::Tensor kept = some_heads([&](const at::Tensor& x) { return take_rows(x, heads); });
  return put_rows(kept, dropped, heads).transpose(1, 2).flatten(2);
}

}  // namespace sbp
