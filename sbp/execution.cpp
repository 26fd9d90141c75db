#include "sbp/execution.h"

#include <ATen/ops/addcmul.h>
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

// Where values for `device` are written: there on the CPU and on Meta (which has none), else on the
// CPU, from where they are copied.
at::Device written_on(at::Device device) {
  return device.is_meta() ? device : at::Device(at::kCPU);
}

at::Tensor index_tensor(const std::vector<std::int64_t>& values, at::Device device) {
  const at::Tensor index = at::empty({static_cast<std::int64_t>(values.size())},
                                     at::dtype(at::kLong).device(written_on(device)));
  if (index.is_cpu() && !values.empty()) {
    std::memcpy(index.data_ptr(), values.data(), values.size() * sizeof(std::int64_t));
  }
  return index.to(device);
}

// bool [count], each true with probability `keep`.
at::Tensor keep_mask(std::int64_t count, double keep, at::Device device, RandomStream stream) {
  const at::Tensor mask = at::empty({count}, at::dtype(at::kBool).device(written_on(device)));
  if (mask.is_cpu()) {
    bool* values = mask.data_ptr<bool>();
    for (std::int64_t i = 0; i < count; ++i) values[i] = stream.uniform() < keep;
  }
  return mask.to(device);
}

// `rows_of` each of them.
template <typename Function>
AttentionInputs rows_of_inputs(const AttentionInputs& inputs, Function rows_of) {
  AttentionInputs some = inputs;
  for (auto* part : {&some.query, &some.key, &some.value}) *part = rows_of(*part);
  return some;
}

// What `compute` gives, without history.
template <typename Function>
auto without_recording(Function compute) {
  const c10::NoGradGuard no_grad;
  return compute();
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
                     const ExecutionOptions& options)
    : sites_(sites),
      plan_(plan),
      masks_(masks),
      codecs_(static_cast<std::size_t>(sites.size())),
      precision_(options.precision),
      weight_copies_(options.precision) {
  group_rows_.resize(plan_.groups.size());
  for (const MaskGroup& group : plan_.groups) kept_rows_.push_back(group.geometry.rows());
  for (SiteId site = 0; site < sites_.size(); ++site) {
    if (const auto& selection = plan_[site].select) {
      group_rows_.at(static_cast<std::size_t>(selection->group))[selection->factor].reset();
    }
    for (const auto& [role, spec] : plan_[site].codes) {
      const auto codec = options.codecs.find(to_string(spec));
      if (codec == options.codecs.end()) {
        throw Error(concat("no codec '", to_string(spec), "' for ", to_string(role), " of site '",
                           sites_[site].name, "'"));
      }
      codecs_[static_cast<std::size_t>(site)].emplace(role, codec->second);
    }
  }
}

void Execution::begin_step(const StepOptions& options) {
  end_step();
  step_ = options;
  statistics_moved_.clear();
  for (std::size_t i = 0; i < group_rows_.size(); ++i) {
    const MaskGroup& group = plan_.groups[i];
    for (auto& [factor, rows] : group_rows_[i]) rows.reset();
    kept_rows_[i] = group.geometry.rows();
    if (!options.training && !plan_.masks_in_evaluation) continue;
    const std::vector<KeptCells> cells = draw_cells(i);
    kept_rows_[i] = group.geometry.leading + std::ssize(cells[0]);
    // A weight counts where all rows are kept, too.
    if (kept_rows_[i] == group.geometry.rows() && group.weight == 1.0) continue;
    for (auto& [factor, rows] : group_rows_[i]) rows = split_of(group, factor, cells);
  }
}

// One mask, or one a sample.
std::vector<KeptCells> Execution::draw_cells(std::size_t group) const {
  const MaskGroup& mask = plan_.groups[group];
  if (mask.per_sample && step_.batch < 1) {
    throw Error("masks for each sample are asked for in a step that does not say its batch");
  }
  std::vector<KeptCells> cells;
  for (std::int64_t sample = 0; sample < (mask.per_sample ? step_.batch : 1); ++sample) {
    MaskRequest request = mask_request(plan_, static_cast<std::int32_t>(group));
    request.step = mask_step();
    request.sample = sample;
    cells.push_back(masks_.draw(request));
    if (cells.back().size() != cells.front().size()) {
      throw Error(concat("mask '", mask.name, "' keeps ", cells.front().size(),
                         " cells of sample 0 ", "and ", cells.back().size(), " of sample ", sample,
                         "; masks of samples need one count"));
    }
  }
  return cells;
}

StepRows Execution::split_of(const MaskGroup& group, std::int64_t factor,
                             const std::vector<KeptCells>& cells) const {
  const RowGeometry fine = refined(group.geometry, factor);
  RowSplit all;
  for (std::size_t sample = 0; sample < cells.size(); ++sample) {
    const RowSplit split = split_rows(replicate(cells[sample], group.geometry, factor), fine);
    const std::int64_t first = static_cast<std::int64_t>(sample) * fine.rows();
    for (const std::int64_t row : split.kept) all.kept.push_back(first + row);
    for (const std::int64_t row : split.dropped) all.dropped.push_back(first + row);
  }
  StepRows rows{.kept = index_tensor(all.kept, step_.device),
                .dropped = index_tensor(all.dropped, step_.device),
                .weight = group.weight,
                .leading = group.geometry.leading};
  if (group.per_sample) {
    for (auto* index : {&rows.kept, &rows.dropped}) *index = index->view({step_.batch, -1});
  }
  return rows;
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

const StepRows* Execution::split(SiteId site) const {
  const auto& selection = plan_[site].select;
  if (!selection) return nullptr;
  const auto& rows =
      group_rows_.at(static_cast<std::size_t>(selection->group)).at(selection->factor);
  return rows ? &*rows : nullptr;
}

const StepRows* Execution::dropping(SiteId site) const {
  const auto& selection = plan_[site].select;
  if (!selection || selection->departed) return nullptr;
  const bool exact = selection->path != AttentionPath::qkv;
  return exact && !c10::GradMode::is_enabled() ? nullptr : split(site);
}

Coding Execution::coding(SiteId site, SavedRole role) {
  const auto& codecs = codecs_[static_cast<std::size_t>(site)];
  const auto found = codecs.find(role);
  if (!step_.training || found == codecs.end()) return {};
  return {.codec = found->second,
          .key = {.seed = step_.seed,
                  .step = mask_step(),
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
  if (code) {
    return coded(site, code, [&](const Coding& how) { return coded_linear(in, w, b, how); });
  }
  const at::Tensor y = at::linear(in, w, b);
  if (is_observed(y)) step_.observer->used({site, weight, in, y, linear_weight_gradient});
  return y;
}

at::Tensor Execution::conv2d(SiteId site, const at::Tensor& x, const Convolution& convolution) {
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor in = precision_.operand(x);
  Convolution c = convolution;
  c.weight = weight_copies_.of(convolution.weight);
  c.bias = weight_copies_.of(convolution.bias);
  const Coding code = coding(site, SavedRole::convolution_input);
  if (code) {
    return coded(site, code, [&](const Coding& how) { return coded_conv2d(in, c, how); });
  }
  const at::Tensor y = sbp::conv2d(in, c);
  if (is_observed(y)) {
    step_.observer->used({site, convolution.weight, padded_image(in, c).detach(), y,
                          [c](const at::Tensor& image, const at::Tensor& gradient) {
                            return convolution_weight_gradient(image, gradient, c);
                          }});
  }
  return y;
}

at::Tensor Execution::layer_norm(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias, double epsilon) {
  const ScopedLayer scope(sites_[site].layer);
  return at::layer_norm(precision_.norm_input(x), {x.size(-1)}, weight, bias, epsilon);
}

at::Tensor Execution::batch_norm(SiteId site, const at::Tensor& x, const BatchNorm& norm) {
  const ScopedLayer scope(sites_[site].layer);
  if (!step_.training) return sbp::batch_norm(x, norm, NormStatistics::running);
  check_full_batch(sites_[site], x);
  const bool first = step_.move_statistics && statistics_moved_.insert(site).second;
  return sbp::batch_norm(x, norm, first ? NormStatistics::batch_and_update : NormStatistics::batch,
                         dropping(site));
}

at::Tensor Execution::gelu(SiteId site, const at::Tensor& x) {
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor in = precision_.gelu_input(x);
  const Coding code = coding(site, SavedRole::nonlinearity_input);
  if (!code) return at::gelu(in);
  return coded(site, code, [&](const Coding& how) { return coded_gelu(in, how); });
}

at::Tensor Execution::activation(SiteId site, Activation kind, const at::Tensor& x, bool in_place) {
  const ScopedLayer scope(sites_[site].layer);
  const Coding code = coding(site, SavedRole::nonlinearity_output);
  if (!code) return activate(kind, x, in_place && step_.observer == nullptr);
  if (kind != Activation::relu) {
    throw Error(concat("the result of '", sites_[site].name, "' cannot be coded: only that of a ",
                       "ReLU can"));
  }
  return coded(site, code, [&](const Coding& how) { return coded_relu(x, how); });
}

at::Tensor Execution::attention(SiteId site, const at::Tensor& x, const AttentionBranch& branch) {
  const ScopedLayer scope(sites_[site].layer);
  const auto project_in = [&](const at::Tensor& rows) {
    const auto parts = branch.project_in(rows).unbind(2);
    return AttentionInputs{parts[0], parts[1], parts[2], branch.scale, branch.fused};
  };
  const StepRows* rows = dropping(site);
  if (rows == nullptr) return branch.project_out(attend(project_in(x), precision_));
  const AttentionPath path = plan_[site].select->path;
  if (path == AttentionPath::head) {
    return branch.project_out(attend_kept_heads(project_in(x), *rows, precision_));
  }
  AttentionRows parts;
  if (path == AttentionPath::query) {
    parts = attend_kept_queries(project_in(x), *rows, precision_);
  } else if (plan_[site].select->whole_inputs) {
    const AttentionInputs all = project_in(x);
    const AttentionInputs dropped = rows_of_inputs(
        all, [&](const at::Tensor& part) { return select_rows(part.detach(), rows->dropped); });
    const AttentionInputs kept =
        rows_of_inputs(all, [&](const at::Tensor& part) { return take_rows(part, *rows); });
    parts =
        attend_split(kept, dropped, /*sees_dropped=*/path == AttentionPath::qkv_exact, precision_);
  } else {
    const AttentionInputs dropped =
        without_recording([&] { return project_in(select_rows(x, rows->dropped)); });
    parts = attend_split(project_in(take_rows(x, *rows)), dropped,
                         /*sees_dropped=*/path == AttentionPath::qkv_exact, precision_);
  }
  if (split(branch.projection) != rows) {
    return branch.project_out(put_rows(parts.kept, parts.dropped, *rows));
  }
  parts.dropped = without_recording([&] { return branch.project_out(parts.dropped); });
  return put_rows(branch.project_out(parts.kept), parts.dropped, *rows);
}

at::Tensor Execution::crossing(SiteId site, StepObserver::Side side, const at::Tensor& x) const {
  if (step_.observer == nullptr || sites_[site].within >= 0) return x;
  return step_.observer->crossed(site, side, x);
}

at::Tensor Execution::positionwise(SiteId site, const at::Tensor& x, const RowFunction& body) {
  const at::Tensor in = crossing(site, StepObserver::Side::input, x);
  return crossing(site, StepObserver::Side::output, run_positionwise(site, in, body));
}

at::Tensor Execution::run_positionwise(SiteId site, const at::Tensor& x, const RowFunction& body) {
  const LayerId layer = sites_[site].layer;
  const ScopedLayer scope(layer);
  const bool again = plan_[site].materialise == Materialise::recompute;
  const auto recorded = [&](const at::Tensor& rows) {
    return again ? recompute(layer, rows, body) : body(rows);
  };
  const StepRows* rows = dropping(site);
  if (rows == nullptr) return recorded(x);
  // First, so that its transient tensors are gone before the kept rows save theirs.
  const at::Tensor dropped = without_recording([&] { return body(select_rows(x, rows->dropped)); });
  return put_rows(recorded(take_rows(x, *rows)), dropped, *rows);
}

at::Tensor Execution::mlp(SiteId site, const at::Tensor& x, const Mlp& mlp) {
  const PlanRow& row = plan_[site];
  const bool one_node = row.materialise == Materialise::function && c10::GradMode::is_enabled() &&
                        (row.select ? split(site) != nullptr : step_.training);
  if (!one_node) {
    return positionwise(site, x,
                        [this, &mlp](const at::Tensor& rows) { return mlp_body(mlp, rows); });
  }
  const ScopedLayer scope(sites_[site].layer);
  const auto layer = [&](SiteId part) { return sites_[part].layer; };
  return mlp_function(x,
                      {.norm_weight = mlp.norm.weight,
                       .norm_bias = mlp.norm.bias,
                       .fc1_weight = weight_copies_.of(mlp.fc1.weight),
                       .fc1_bias = weight_copies_.of(mlp.fc1.bias),
                       .fc2_weight = weight_copies_.of(mlp.fc2.weight),
                       .fc2_bias = weight_copies_.of(mlp.fc2.bias),
                       .scale = mlp.scale,
                       .epsilon = mlp.epsilon},
                      {.norm = layer(mlp.norm.site),
                       .fc1 = layer(mlp.fc1.site),
                       .act = layer(mlp.act),
                       .fc2 = layer(mlp.fc2.site)},
                      dropping(site), precision_);
}

at::Tensor Execution::mlp_body(const Mlp& mlp, const at::Tensor& x) {
  at::Tensor h = layer_norm(mlp.norm.site, x, mlp.norm.weight, mlp.norm.bias, mlp.epsilon);
  h = linear(mlp.fc1.site, h, mlp.fc1.weight, mlp.fc1.bias);
  h = gelu(mlp.act, h);
  h = linear(mlp.fc2.site, h, mlp.fc2.weight, mlp.fc2.bias);
  if (!mlp.scale.defined()) return h;
  const ScopedLayer scope(mlp.scale_layer);
  return h.mul(mlp.scale);
}

at::Tensor Execution::depart(SiteId site, const at::Tensor& x) {
  const StepRows* rows = plan_[site].departs ? split(site) : nullptr;
  if (rows == nullptr) return x;
  const ScopedLayer scope(sites_[site].layer);
  return take_rows(x, *rows);
}

RandomStream Execution::stream(SiteId site, Purpose purpose) const {
  return RandomStream({.seed = step_.seed,
                       .step = step_.step,
                       .site = static_cast<std::uint32_t>(site),
                       .purpose = purpose});
}

at::Tensor Execution::residual(SiteId site, const at::Tensor& x, const RowFunction& branch,
                               const ResidualOptions& options) {
  const LayerId layer = sites_[site].layer;
  const ScopedLayer scope(layer);
  const bool again = plan_[site].materialise == Materialise::recompute;
  const at::Tensor in = crossing(site, StepObserver::Side::input, x);
  at::Tensor shortcut = in;
  if (options.shortcut && options.shortcut_first) shortcut = options.shortcut(in);
  const at::Tensor added = again ? recompute(layer, in, branch) : branch(in);
  if (options.shortcut && !options.shortcut_first) shortcut = options.shortcut(in);
  return crossing(site, StepObserver::Side::output, add_branch(site, shortcut, added, options));
}

at::Tensor Execution::add_branch(SiteId site, const at::Tensor& shortcut, const at::Tensor& branch,
                                 const ResidualOptions& options) const {
  if (!step_.training || options.drop_path <= 0.0) {
    const bool in_place = options.in_place && step_.observer == nullptr &&
                          branch.scalar_type() == shortcut.scalar_type();
    return in_place ? branch.add_(shortcut) : shortcut.add(branch);
  }
  const double keep = 1.0 - options.drop_path;
  const at::Tensor kept =
      keep_mask(branch.size(0), keep, branch.device(), stream(site, Purpose::drop_path));
  std::vector<std::int64_t> a_sample(static_cast<std::size_t>(branch.dim()), 1);
  a_sample[0] = branch.size(0);
  const at::Tensor scale = kept.to(branch.scalar_type()).div_(keep).view(a_sample);
  return at::addcmul(shortcut, branch, scale);
}

at::Tensor Execution::dropout(SiteId site, const at::Tensor& x, double rate, bool in_place) {
  if (!step_.training || rate <= 0.0) return x;
  const ScopedLayer scope(sites_[site].layer);
  const at::Tensor kept =
      keep_mask(x.numel(), 1.0 - rate, x.device(), stream(site, Purpose::dropout));
  if (in_place && step_.observer == nullptr) {
    return x.mul_(kept.view(x.sizes()).to(x.scalar_type()).div_(1.0 - rate));
  }
  return x.mul(kept.view(x.sizes())).mul(1.0 / (1.0 - rate));
}

}  // namespace sbp
