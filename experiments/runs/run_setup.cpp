#include "experiments/runs/run_setup.h"

#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <thread>

#include "dropit/dropit_strategy.h"
#include "experiments/data/augmentation.h"
#include "experiments/models/registry.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/environment.h"
#include "experiments/strategies.h"
#include "experiments/training/precision_spec.h"
#include "experiments/training/trainer.h"
#include "profiler/torch/tracer.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

std::int64_t thread_count(const RunOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::max<std::int64_t>(1, std::thread::hardware_concurrency());
}

void check_numbers(const RunOptions& options) {
  constexpr std::int64_t kMaximumBatch = 1'000'000;
  if (options.batch < 1 || options.batch > kMaximumBatch) {
    throw UsageError(concat("batch '", options.batch, "' is outside 1-", kMaximumBatch));
  }
  if (options.accumulate < 1 || options.accumulate > kMaximumBatch) {
    throw UsageError(concat("accumulate '", options.accumulate, "' is outside 1-", kMaximumBatch));
  }
  if (!(options.clip_norm >= 0.0 && std::isfinite(options.clip_norm))) {
    throw UsageError(concat("clip norm '", options.clip_norm, "' is no number above 0, or 0"));
  }
  if (!(options.ema >= 0.0 && options.ema < 1.0)) {
    throw UsageError(concat("ema '", options.ema, "' is outside [0, 1)"));
  }
  if (options.threads < 0 || options.threads > 1024) {
    throw UsageError(
        concat("threads '", options.threads, "' is outside 0-1024 (0: one a processor)"));
  }
  if (options.workers < 1 || options.workers > 1024) {
    throw UsageError(concat("workers '", options.workers, "' is outside 1-1024"));
  }
}

// What the data is to look like where it has no size of its own.
ImageGeometry wanted_by(const Spec& model) {
  ImageGeometry wanted = input_of(model);
  if (wanted.channels == 0) wanted.channels = 3;
  if (wanted.height == 0) wanted.height = wanted.width = 224;
  if (wanted.classes == 0) wanted.classes = 1000;
  return wanted;
}

reports::PlanEntry plain_entry(const Site& site) {
  reports::PlanEntry entry;
  entry.site = site.name;
  entry.kind = to_string(site.kind);
  entry.select = "all";
  entry.rows = site.geometry.rows();
  entry.kept_rows = entry.rows;
  return entry;
}

// Of which rows gradient is kept, in words.
std::string kept_words(const Site& site, const RowSelection& selection) {
  if (selection.departed) return "all rows here";
  if (site.kind != SiteKind::attention) return "rows";
  switch (selection.path) {
    case AttentionPath::query: return "query rows";
    case AttentionPath::qkv_exact: return "query, key and value rows";
    case AttentionPath::qkv: return "rows, that see kept ones only";
    case AttentionPath::head: return "heads";
  }
  return "rows";
}

void describe_selection(reports::PlanEntry& entry, const Site& site, const PlanRow& row,
                        const MaskGroup& group) {
  const std::string who = group.per_sample ? "of each sample" : "";
  entry.select = concat(row.departs ? "dropped rows leave here" : kept_words(site, *row.select),
                        ", ", to_string(group.kind), " mask", who.empty() ? "" : " ", who);
  if (group.weight != 1.0) entry.select += concat(", gradient times ", group.weight);
  entry.keep_ratio = group.keep_ratio;
  entry.mask_group = group.name;
  if (row.select->of_heads()) entry.rows = group.geometry.rows();
}

std::size_t index_of(const RowSelection& selection) {
  return static_cast<std::size_t>(selection.group);
}

// All that claimed a column of the row, joined by '+'.
std::string claimants(const PlanRow& row) {
  std::vector<std::string> specs;
  for (const auto& [column, spec] : row.claimed_by) {
    if (std::ranges::find(specs, spec) == specs.end()) specs.push_back(spec);
  }
  std::string joined;
  for (const std::string& spec : specs) joined += concat(joined.empty() ? "" : "+", spec);
  return joined;
}

// Does a part of `whole` see the rows that `whole` selects? Of an attention, what comes before it
// where keys and values drop, too; its projection selects for itself.
bool passes_on(const SiteTable& sites, const Plan& plan, SiteId whole, SiteId part) {
  if (!plan[whole].select) return false;
  if (sites[whole].kind == SiteKind::positionwise) return true;
  const AttentionPath path = plan[whole].select->path;
  return sites[whole].kind == SiteKind::attention && !sites[part].name.ends_with(".proj") &&
         (path == AttentionPath::qkv || path == AttentionPath::qkv_exact);
}

// The selection that says which rows carry gradient through a site: its own, that of what it is
// part of, or that by which rows have departed.
std::optional<RowSelection> selection_at(const SiteTable& sites, const Plan& plan, SiteId id) {
  if (plan[id].select) return plan[id].select;
  for (SiteId whole = sites[id].within; whole >= 0; whole = sites[whole].within) {
    if (passes_on(sites, plan, whole, id)) return plan[whole].select;
  }
  for (SiteId before = 0; before < id; ++before) {
    if (plan[before].departs) return plan[before].select;
  }
  return std::nullopt;
}

// Says that some starting points of a grid mask keep no cell, which a mean over steps hides.
std::string empty_starts(const MaskGroup& group) {
  const std::int64_t diagonals = group.geometry.height + group.geometry.width - 1;
  const std::int64_t starts = grid_stride(group.keep_ratio);
  if (group.kind != MaskKind::grid || group.keep_ratio > 0.5 || starts <= diagonals) return {};
  return concat("keeps no cell from ", starts - diagonals, " of its ", starts,
                " starting points at keep=", group.keep_ratio);
}

// What a group's mask got of what was asked, where it is worth saying.
std::vector<std::string> group_warnings(const MaskGroup& group, double kept_rows) {
  constexpr double kNoticeable = 0.02, kNoticeablePart = 0.25;
  const auto rows = static_cast<double>(group.geometry.rows());
  if (group.kind == MaskKind::bernoulli) {
    if (kept_rows > 0.0) return {};
    return {concat("'", group.name, "': none is kept, no gradient passes this attention")};
  }
  std::vector<std::string> warnings;
  // Of the cells: rows that are always kept are no matter of the mask.
  const double got = (kept_rows - static_cast<double>(group.geometry.leading)) /
                     static_cast<double>(group.geometry.cells());
  const double off = std::abs(got - group.keep_ratio);
  const std::string mask = concat("the ", to_string(group.kind), " mask on ", group.geometry.height,
                                  "x", group.geometry.width, " cells");
  if (kept_rows <= static_cast<double>(group.geometry.leading)) {
    warnings.push_back(concat(mask, " keeps no cell at keep=", group.keep_ratio, ": ",
                              group.geometry.leading > 0 ? "only always-kept rows carry gradient"
                                                         : "no row carries gradient"));
  } else if (kept_rows >= rows && group.weight == 1.0) {
    warnings.push_back(
        concat(mask, " drops nothing at keep=", group.keep_ratio, ": this is full backward"));
  } else if (off > kNoticeable || off > kNoticeablePart * group.keep_ratio) {
    warnings.push_back(concat(mask, " keeps ", got, " of them, not the ", group.keep_ratio,
                              " asked for; see effective_keep_ratio"));
  }
  if (const std::string empty = empty_starts(group); !empty.empty()) {
    warnings.push_back(concat(mask, " ", empty));
  }
  return warnings;
}

}  // namespace

ResolvedRun resolve_run(const RunOptions& options) {
  check_numbers(options);
  ResolvedRun run;
  run.options = options;
  run.options.threads = thread_count(options);
  run.device = parse_device(options.device);
  if (run.device.kind == DeviceId::Kind::cuda) {
    throw Error(concat("device '", options.device,
                       "': this build has no CUDA; use cpu, or meta for a dry run"));
  }
  run.model = parse_spec(options.model, "model", model_schemas());
  run.data = parse_spec(options.data, "data", data_schemas());
  run.optimizer = parse_spec(options.optimizer, "optimizer", optimizer_schemas());
  run.augment = parse_augmentation(options.augment);
  make_augmentation(run.augment);  // its errors come before anything is read
  run.precision = parse_spec(options.precision, "precision", precision_schemas());
  run.geometry = geometry_of(run.data, wanted_by(run.model));
  run.model = fit_to_data(run.model, run.geometry);
  run.data = fit_to_geometry(run.data, run.geometry);
  return run;
}

void prepare_libtorch(const ResolvedRun& run) {
  at::set_num_threads(static_cast<int>(run.options.threads));
  profiler::install_torch_hooks();
}

std::unique_ptr<Model> make_model(const ResolvedRun& run, bool on_meta) {
  const bool meta = on_meta || run.device.kind == DeviceId::Kind::meta;
  return build_model(run.model, {.device = meta ? at::kMeta : at::kCPU, .seed = run.options.seed});
}

Plan make_plan(const ResolvedRun& run, const Model& model) {
  Plan plan = resolve(run.options.strategy, model.sites(), strategies());
  const int value_bytes = precision_of(run.precision).is_mixed() ? 2 : 4;
  for (std::string& warning : dropit::size_warnings(plan, value_bytes)) {
    plan.warnings.push_back(std::move(warning));
  }
  return plan;
}

std::vector<reports::PlanEntry> plan_entries(const SiteTable& sites, const Plan& plan,
                                             const std::vector<std::int64_t>& kept_rows) {
  std::vector<reports::PlanEntry> entries;
  for (SiteId id = 0; id < sites.size(); ++id) {
    const PlanRow& row = plan[id];
    reports::PlanEntry entry = plain_entry(sites[id]);
    if (row.select)
      describe_selection(entry, sites[id], row, plan.groups.at(index_of(*row.select)));
    if (const auto selection = selection_at(sites, plan, id); selection && entry.rows > 0) {
      const std::size_t group = index_of(*selection);
      const auto kept = static_cast<double>(kept_rows.at(group));
      entry.kept_rows =
          static_cast<std::int64_t>(site_rows(*selection, plan.groups.at(group), kept));
      entry.effective_keep_ratio =
          static_cast<double>(entry.kept_rows) / static_cast<double>(entry.rows);
    }
    const SiteId again = run_again_with(sites, plan, id);
    entry.materialise =
        again < 0 ? std::string(to_string(row.materialise)) : concat("with ", sites[again].name);
    for (const auto& [role, codec] : row.codes) {
      entry.code += concat(entry.code.empty() ? "" : ",", to_string(role), "=", to_string(codec));
    }
    if (!row.note.empty()) entry.code += concat(entry.code.empty() ? "" : ",", row.note);
    entry.claimed_by = claimants(row);
    entries.push_back(std::move(entry));
  }
  return entries;
}

reports::StrategyOutcome strategy_outcome(const Plan& plan, const std::vector<double>& kept_rows) {
  reports::StrategyOutcome outcome;
  outcome.spec = plan.strategy;
  outcome.forward_exact = plan.forward_exact;
  // Heads count where nothing else drops.
  const auto drops_rows = [](const PlanRow& row) { return row.select && !row.select->of_heads(); };
  const bool heads_only = std::ranges::none_of(plan.rows, drops_rows);
  double rows = 0, kept = 0;
  for (const PlanRow& row : plan.rows) {
    if (!row.select || row.select->of_heads() != heads_only) continue;
    const auto group = static_cast<std::size_t>(row.select->group);
    const MaskGroup& mask = plan.groups.at(group);
    rows += site_rows(*row.select, mask, static_cast<double>(mask.geometry.rows()));
    kept += site_rows(*row.select, mask, kept_rows.at(group));
  }
  if (rows > 0) outcome.effective_keep_ratio = kept / rows;
  return outcome;
}

std::vector<std::string> plan_warnings(const Plan& plan, const std::vector<double>& kept_rows) {
  std::vector<std::string> warnings = plan.warnings;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    for (std::string& warning : group_warnings(plan.groups[i], kept_rows.at(i))) {
      // Layers with masks of their own say the same thing many times.
      if (std::ranges::find(warnings, warning) == warnings.end()) {
        warnings.push_back(std::move(warning));
      }
    }
  }
  return warnings;
}

reports::ModelFacts model_facts(const ResolvedRun& run, const Model& model) {
  reports::ModelFacts facts;
  facts.spec = to_string(run.model);
  for (const Parameter& parameter : model.parameters()) {
    facts.parameter_count += parameter.value.numel();
    facts.parameter_bytes += static_cast<std::int64_t>(parameter.value.nbytes());
  }
  for (const Buffer& buffer : model.buffers()) {
    facts.buffer_bytes += static_cast<std::int64_t>(buffer.value.nbytes());
  }
  return facts;
}

reports::Header make_header(const ResolvedRun& run, const Plan& plan) {
  reports::Header header;
  const RunOptions& options = run.options;
  header.command_line = options.command_line;
  header.configuration = {
      {"model", to_string(run.model)},
      {"data", to_string(run.data)},
      {"strategy", plan.strategy},
      {"optimizer", to_string(run.optimizer)},
      {"batch", options.batch},
      {"accumulate", options.accumulate},
      {"clip_norm", options.clip_norm},
      {"ema", options.ema},
      {"seed", static_cast<std::int64_t>(options.seed)},
      {"threads", options.threads},
      {"device", to_string(run.device)},
      {"precision", to_string(run.precision)},
      {"augment", to_string(run.augment)},
      {"workers", options.workers},
  };
  header.environment = describe_environment();
  header.environment.libtorch_version = TORCH_VERSION;
  header.environment.threads = options.threads;
  return header;
}

TrainerOptions trainer_options(const ResolvedRun& run) {
  const bool meta = run.device.kind == DeviceId::Kind::meta;
  return {.device = meta ? at::kMeta : at::kCPU,
          .seed = run.options.seed,
          .precision = precision_of(run.precision),
          .accumulate = run.options.accumulate,
          .clip_norm = run.options.clip_norm,
          .ema_decay = run.options.ema};
}

Batch batch_without_values(const ResolvedRun& run) {
  Batch batch;
  batch.size = run.options.batch;
  if (make_augmentation(run.augment).mix) batch.target_classes = run.geometry.classes;
  return batch;
}

void check_memory(const ResolvedRun& run, ZeroGrad zero_grad) {
  if (run.device.kind != DeviceId::Kind::cpu) return;
  const std::optional<std::int64_t> available = available_memory_bytes();
  if (!available) return;
  const DeviceId meta{DeviceId::Kind::meta};
  const std::unique_ptr<Model> model = make_model(run, /*on_meta=*/true);
  const Plan plan = make_plan(run, *model);
  KeyedMaskSource masks(run.options.seed);
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(run.optimizer, model->parameters());
  TrainerOptions step_options = trainer_options(run);
  step_options.device = at::kMeta;
  step_options.zero_grad = zero_grad;
  // From the second batch on, all find the gradients of those before.
  step_options.accumulate = std::min<std::int64_t>(step_options.accumulate, 2);
  Trainer trainer(*model, plan, masks, *optimizer, step_options);
  profiler::reset_peak_live_bytes(meta);
  // Twice: the optimizer's state exists from the first update on.
  const Batch batch = batch_without_values(run);
  for (int step = 0; step < 2; ++step) trainer.step(batch, step, 0.0);
  // The process grows by more than its tensors: freed blocks that malloc keeps, scratch of kernels.
  // Measured 1.22 to 1.36 times the peak (docs/accounting.md).
  const std::int64_t needed = profiler::peak_live_bytes(meta) / 4 * 5;
  if (needed > *available) {
    throw Error(concat("a training step of '", run.options.model, "' at batch '", run.options.batch,
                       "' needs about ", reports::bytes_text(needed), " and the machine has ",
                       reports::bytes_text(*available),
                       " available; use a smaller batch or model, or "
                       "--device meta"));
  }
}

}  // namespace sbp::experiments
