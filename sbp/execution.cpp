#include "sbp/execution.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
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

// bool [count], each true with probability `keep`.
at::Tensor keep_mask(std::int64_t count, double keep, at::Device device, RandomStream stream) {
  const at::Tensor mask = at::empty({count}, at::dtype(at::kBool).device(device));
  if (device.is_cpu()) {
    bool* values = mask.data_ptr<bool>();
    for (std::int64_t i = 0; i < count; ++i) values[i] = stream.uniform() < keep;
  }
  return mask;
}

void check_full_batch(const Site& site, const at::Tensor& x) {
  const RowGeometry& whole = site.geometry;
  if (x.dim() != 4 ||
      (whole.cells() > 0 && (x.size(2) != whole.height || x.size(3) != whole.width))) {
    throw Error(concat("batch norm '", site.name, "' takes its statistics from the full batch, ",
                       "[batch, channels, ", whole.height, ", ", whole.width, "], and was given ",
                       x.sizes()));
  }
  if (x.numel() <= x.size(1)) {
    throw Error(concat("batch norm '", site.name, "' has one value a channel in ", x.sizes(),
                       ", which has no variance; use a larger batch or image"));
  }
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
  for (const MaskGroup& group : plan_.groups) kept_rows_.push_back(group.geometry.rows());
  for (SiteId site = 0; site < sites_.size(); ++site) {
    if (const auto& selection = plan_[site].select) {
      group_rows_.at(static_cast<std::size_t>(selection->group))[selection->factor].reset();
    }
    for (const auto& [role, spec] : plan_[site].codes) {
      if (codecs_.contains(to_string(spec))) continue;
      throw Error(concat("no codec '", to_string(spec), "' for ", to_string(role), " of site '",
                         sites_[site].name, "'"));
    }
  }
}

void Execution::begin_step(std::uint32_t step, bool training, at::Device device,
                           std::uint64_t seed) {
  end_step();
  training_ = training;
  step_ = step;
  seed_ = seed;
  statistics_moved_.clear();
  for (std::size_t i = 0; i < group_rows_.size(); ++i) {
    const MaskGroup& group = plan_.groups[i];
    for (auto& [factor, rows] : group_rows_[i]) rows.reset();
    kept_rows_[i] = group.geometry.rows();
    if (!training && !plan_.masks_in_evaluation) continue;
    const KeptCells cells = masks_.draw({.kind = group.kind,
                                         .keep_ratio = group.keep_ratio,
                                         .geometry = group.geometry,
                                         .group = static_cast<std::int32_t>(i),
                                         .step = step});
    kept_rows_[i] = group.geometry.leading + std::ssize(cells);
    if (kept_rows_[i] == group.geometry.rows()) continue;
    for (auto& [factor, rows] : group_rows_[i]) {
      const RowSplit split =
          split_rows(replicate(cells, group.geometry, factor), refined(group.geometry, factor));
      rows = {index_tensor(split.kept, device), index_tensor(split.dropped, device)};
    }
  }
}

void Execution::end_step() {
  weight_copies_.drop();
  shared_codes_.clear();
}

std::vector<std::string> Execution::warnings() const {
  std::vector<std::string> names;
  for (const std::uint32_t site : shared_codes_.empty_sites()) {
    names.push_back(sites_[static_cast<SiteId>(site)].name);
  }
  if (names.empty()) return {};
  return {concat("nothing is kept of the input of ", join(names),
                 ": such small tensors, cut as released, give no weight gradient")};
}

std::vector<std::int64_t> Execution::kept_rows() const {
  return kept_rows_;
}

const StepRows* Execution::dropping(SiteId site) const {
  const auto& selection = plan_[site].select;
  if (!selection || !c10::GradMode::is_enabled()) return nullptr;
  const auto& rows =
      group_rows_.at(static_cast<std::size_t>(selection->group)).at(selection->factor);
  return rows ? &*rows : nullptr;
}

Coding Execution::coding(SiteId site, SavedRole role) {
  const auto& codes = plan_[site].codes;
  const auto found = codes.find(role);
  if (!training_ || found == codes.end()) return {};
  return {.codec = codecs_.at(to_string(found->second)),
          .key = {.seed = seed_,
                  .step = step_,
                  .site = static_cast<std::uint32_t>(site),
                  .purpose = Purpose::sampling},
          .shared = &shared_codes_};
}

template <typename Layer>
at::Tensor Execution::coded(SiteId site, const Coding& coding, Layer layer) {
  try {
    return layer(coding);
  } catch (const Error& error) {
    throw Error(concat("coding what '", sites_[site].name, "' saves: ", error.what()));
  }
}

at::Tensor Execution::linear(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& bias) {
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor in = precision_.operand(x);
  const at::Tensor w = weight_copies_.of(weight);
  const at::Tensor b = weight_copies_.of(bias);
  const Coding code = coding(site, SavedRole::linear_input);
  if (!code) return at::linear(in, w, b);
  return coded(site, code, [&](const Coding& how) { return coded_linear(in, w, b, how); });
}

at::Tensor Execution::conv2d(SiteId site, const at::Tensor& x, const Convolution& convolution) {
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor in = precision_.operand(x);
  Convolution c = convolution;
  c.weight = weight_copies_.of(convolution.weight);
  c.bias = weight_copies_.of(convolution.bias);
  const Coding code = coding(site, SavedRole::convolution_input);
  if (!code) return sbp::conv2d(in, c);
  return coded(site, code, [&](const Coding& how) { return coded_conv2d(in, c, how); });
}

at::Tensor Execution::layer_norm(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias, double epsilon) {
  const ScopedLayer scope(sites_[site].layer);
  return at::layer_norm(precision_.norm_input(x), {x.size(-1)}, weight, bias, epsilon);
}

at::Tensor Execution::batch_norm(SiteId site, const at::Tensor& x, const BatchNorm& norm) {
  const ScopedLayer scope(sites_[site].layer);
  if (!training_) return sbp::batch_norm(x, norm, NormStatistics::running);
  check_full_batch(sites_[site], x);
  const bool first = statistics_moved_.insert(site).second;
  return sbp::batch_norm(x, norm, first ? NormStatistics::batch_and_update : NormStatistics::batch,
                         dropping(site));
}

at::Tensor Execution::gelu(SiteId site, const at::Tensor& x) {
  const ScopedLayer scope(sites_[site].layer);
  const Coding code = coding(site, SavedRole::nonlinearity_input);
  if (!code) return at::gelu(x);
  return coded(site, code, [&](const Coding& how) { return coded_gelu(x, how); });
}

at::Tensor Execution::relu(SiteId site, const at::Tensor& x) {
  const ScopedLayer scope(sites_[site].layer);
  const Coding code = coding(site, SavedRole::nonlinearity_output);
  if (!code) return at::relu(x);
  return coded(site, code, [&](const Coding& how) { return coded_relu(x, how); });
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

RandomStream Execution::stream(SiteId site, Purpose purpose) const {
  return RandomStream(
      {.seed = seed_, .step = step_, .site = static_cast<std::uint32_t>(site), .purpose = purpose});
}

at::Tensor Execution::residual(SiteId site, const at::Tensor& x, const RowFunction& branch,
                               double drop_path) {
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor added = branch(x);
  if (!training_ || drop_path <= 0.0) return x.add(added);
  const at::Tensor kept =
      keep_mask(x.size(0), 1.0 - drop_path, x.device(), stream(site, Purpose::drop_path));
  std::vector<std::int64_t> a_sample(static_cast<std::size_t>(x.dim()), 1);
  a_sample[0] = x.size(0);
  const at::Tensor scale = kept.to(x.scalar_type()).div_(1.0 - drop_path).view(a_sample);
  return at::addcmul(x, added, scale);
}

at::Tensor Execution::dropout(SiteId site, const at::Tensor& x, double rate) {
  if (!training_ || rate <= 0.0) return x;
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor kept =
      keep_mask(x.numel(), 1.0 - rate, x.device(), stream(site, Purpose::dropout));
  return x.mul(kept.view(x.sizes())).mul(1.0 / (1.0 - rate));
}

}  // namespace sbp
