#include "experiments/runs/plan_report.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

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
  entry.select =
      concat(row.departs ? "dropped rows leave here" : kept_words(site, *row.select), ", ",
             to_string(group.kind), " mask", group.per_sample ? " of each sample" : "");
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
  return join(specs, "+");
}

// Does a part of `whole` see the rows that `whole` selects? Of an attention, what comes before it
// where keys and values drop, too; its projection selects for itself.
bool passes_on(const SiteTable& sites, const Plan& plan, SiteId whole, SiteId part) {
  if (!plan[whole].select) return false;
  if (sites[whole].kind == SiteKind::positionwise) return true;
  const AttentionPath path = plan[whole].select->path;
  return sites[whole].kind == SiteKind::attention && part != projection_of(sites, whole) &&
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
    const std::size_t group = index_of(*row.select);
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

}  // namespace sbp::experiments
