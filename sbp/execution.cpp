#include "sbp/execution.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <c10/core/GradMode.h>

#include <cstring>

#include "sbp/base/error.h"
#include "sbp/coded_ops.h"

namespace sbp {
namespace {

at::Tensor index_tensor(const std::vector<std::int64_t>& values, at::Device device) {
  const at::Tensor index =
      at::empty({static_cast<std::int64_t>(values.size())}, at::dtype(at::kLong).device(device));
  if (device.is_cpu() && !values.empty()) {
    std::memcpy(index.data_ptr(), values.data(), values.size() * sizeof(std::int64_t));
  }
  return index;
}

}  // namespace

Execution::Execution(const SiteTable& sites, const Plan& plan, MaskSource& masks,
                     ExecutionOptions options)
    : sites_(sites),
      plan_(plan),
      masks_(masks),
      codecs_(std::move(options.codecs)),
      precision_(options.precision),
      weight_copies_(options.precision) {
  group_rows_.resize(plan_.groups.size());
  for (SiteId site = 0; site < sites_.size(); ++site) {
    for (const auto& [role, spec] : plan_[site].codes) {
      if (codecs_.contains(to_string(spec))) continue;
      throw Error(concat("no codec '", to_string(spec), "' for ", to_string(role), " of site '",
                         sites_[site].name, "'"));
    }
  }
}

void Execution::begin_step(std::uint32_t step, bool training, at::Device device) {
  end_step();
  for (std::size_t i = 0; i < group_rows_.size(); ++i) {
    group_rows_[i].reset();
    if (!training && !plan_.masks_in_evaluation) continue;
    const MaskGroup& group = plan_.groups[i];
    const RowSplit split = split_rows(masks_.draw({.kind = group.kind,
                                                   .keep_ratio = group.keep_ratio,
                                                   .geometry = group.geometry,
                                                   .group = static_cast<std::int32_t>(i),
                                                   .step = step}),
                                      group.geometry);
    if (split.kept.empty()) {
      throw Error(concat("the ", to_string(group.kind), " mask with keep ratio ", group.keep_ratio,
                         " keeps none of ", group.geometry.rows(), " rows; use a larger one"));
    }
    if (split.dropped.empty()) continue;
    group_rows_[i] = {index_tensor(split.kept, device), index_tensor(split.dropped, device)};
  }
}

std::vector<std::int64_t> Execution::kept_rows() const {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < group_rows_.size(); ++i) {
    counts.push_back(group_rows_[i] ? group_rows_[i]->kept.size(0)
                                    : plan_.groups[i].geometry.rows());
  }
  return counts;
}

const StepRows* Execution::dropping(SiteId site) const {
  const auto& selection = plan_[site].select;
  if (!selection || !c10::GradMode::is_enabled()) return nullptr;
  const auto& rows = group_rows_.at(static_cast<std::size_t>(selection->group));
  return rows ? &*rows : nullptr;
}

std::shared_ptr<const SavedCodec> Execution::codec(SiteId site, SavedRole role) const {
  const auto& codes = plan_[site].codes;
  const auto found = codes.find(role);
  return found == codes.end() ? nullptr : codecs_.at(to_string(found->second));
}

at::Tensor Execution::linear(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& bias) {
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor in = precision_.operand(x);
  const at::Tensor w = weight_copies_.of(weight);
  const at::Tensor b = weight_copies_.of(bias);
  if (auto code = codec(site, SavedRole::linear_input)) return coded_linear(in, w, b, code);
  return at::linear(in, w, b);
}

at::Tensor Execution::conv2d(SiteId site, const at::Tensor& x, const Convolution& convolution) {
  const ScopedLayer scope(sites_[site].layer);
  const auto& [weight, bias, stride, padding, groups] = convolution;
  return at::conv2d(precision_.operand(x), weight_copies_.of(weight), weight_copies_.of(bias),
                    stride, padding, /*dilation=*/1, groups);
}

at::Tensor Execution::layer_norm(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias, double epsilon) {
  const ScopedLayer scope(sites_[site].layer);
  return at::layer_norm(precision_.norm_input(x), {x.size(-1)}, weight, bias, epsilon);
}

at::Tensor Execution::gelu(SiteId site, const at::Tensor& x) {
  const ScopedLayer scope(sites_[site].layer);
  if (auto code = codec(site, SavedRole::nonlinearity_input)) return coded_gelu(x, code);
  return at::gelu(x);
}

at::Tensor Execution::attention(SiteId site, const AttentionInputs& inputs, SiteId projection,
                                const RowFunction& project) {
  const ScopedLayer scope(sites_[site].layer);
  const StepRows* rows = dropping(site);
  if (rows == nullptr) return project(attend(inputs, precision_));
  AttentionRows parts = attend_kept_queries(inputs, *rows, precision_);
  if (dropping(projection) != rows) return project(put_rows(parts.kept, parts.dropped, *rows));
  {
    const c10::NoGradGuard no_grad;
    parts.dropped = project(parts.dropped);
  }
  return put_rows(project(parts.kept), parts.dropped, *rows);
}

at::Tensor Execution::positionwise(SiteId site, const at::Tensor& x, const RowFunction& body) {
  const LayerId layer = sites_[site].layer;
  const ScopedLayer scope(layer);
  const bool again = plan_[site].materialise == Materialise::recompute;
  const auto recorded = [&](const at::Tensor& rows) {
    return again ? recompute(layer, rows, body) : body(rows);
  };
  const StepRows* rows = dropping(site);
  if (rows == nullptr) return recorded(x);
  at::Tensor dropped;
  {
    // First, so that its transient tensors are gone before the kept rows save theirs.
    const c10::NoGradGuard no_grad;
    dropped = body(x.index_select(1, rows->dropped));
  }
  return put_rows(recorded(take_rows(x, rows->kept)), dropped, *rows);
}

at::Tensor Execution::residual(SiteId site, const at::Tensor& x, const RowFunction& branch) {
  const ScopedLayer scope(sites_[site].layer);
  return x.add(branch(x));
}

}  // namespace sbp
