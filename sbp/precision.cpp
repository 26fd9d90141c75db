#include "sbp/precision.h"

#include <ATen/ops/softmax.h>
#include <c10/core/GradMode.h>

namespace sbp {
namespace {

bool is_low(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16;
}

}  // namespace

at::Tensor Precision::operand(const at::Tensor& x) const {
  if (!is_mixed() || !x.defined()) return x;
  // fp64 asks for more than any policy gives, and integers are no operands.
  return x.scalar_type() == at::kFloat || is_low(x.scalar_type()) ? x.to(low) : x;
}

at::Tensor Precision::norm_input(const at::Tensor& x) const {
  return is_mixed() && full_norms && is_low(x.scalar_type()) ? x.to(at::kFloat) : x;
}

at::Tensor Precision::gelu_input(const at::Tensor& x) const {
  return is_mixed() && full_gelu && is_low(x.scalar_type()) ? x.to(at::kFloat) : x;
}

at::Tensor Precision::loss_input(const at::Tensor& logits) const {
  return is_low(logits.scalar_type()) ? logits.to(at::kFloat) : logits;
}

at::Tensor Precision::softmax(const at::Tensor& scores) const {
  if (!is_mixed() || !full_norms || !is_low(scores.scalar_type())) return at::softmax(scores, -1);
  return at::softmax(scores, -1, at::kFloat).to(scores.scalar_type());
}

at::Tensor WeightCopies::of(const at::Tensor& weight) {
  if (!precision_.is_mixed() || !weight.defined() || weight.scalar_type() != at::kFloat) {
    return precision_.operand(weight);
  }
  // Something computed from parameters is a new tensor at every use: nothing to keep.
  if (!weight.is_leaf()) return precision_.operand(weight);
  Copy& kept = copies_[weight.unsafeGetTensorImpl()];
  const auto version = static_cast<std::int64_t>(weight._version());
  if (!kept.copy.defined() || kept.version != version) {
    // Dropped rows may come first and do not record; kept rows then use the same copy.
    const c10::AutoGradMode record(true);
    kept = {weight, precision_.operand(weight), version};
  }
  return kept.copy;
}

at::Tensor WeightCopies::kept(const at::Tensor& weight) const {
  const auto found = copies_.find(weight.unsafeGetTensorImpl());
  return found == copies_.end() ? at::Tensor() : found->second.copy;
}

}  // namespace sbp
