#include "sbp/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sbp/base/error.h"
#include "sbp/base/words.h"

namespace sbp {

std::string_view to_string(SavedRole role) {
  switch (role) {
    case SavedRole::linear_input: return "linear_input";
    case SavedRole::convolution_input: return "convolution_input";
    case SavedRole::query: return "query";
    case SavedRole::key: return "key";
    case SavedRole::value: return "value";
    case SavedRole::attention_map: return "attention_map";
    case SavedRole::nonlinearity_input: return "nonlinearity_input";
    case SavedRole::nonlinearity_output: return "nonlinearity_output";
    case SavedRole::norm_input: return "norm_input";
  }
  return "unknown";
}

namespace {

constexpr std::array<std::string_view, 4> kPathWords{"query", "qkv_exact", "qkv", "head"};

}  // namespace

AttentionPath parse_attention_path(std::string_view word) {
  if (const auto path = value_of<AttentionPath>(kPathWords, word)) return *path;
  throw UsageError(concat("unknown attention path '", word, "'"));
}

std::string_view to_string(Materialise how) {
  switch (how) {
    case Materialise::store: return "store";
    case Materialise::recompute: return "recompute";
    case Materialise::function: return "function";
  }
  return "unknown";
}

double site_rows(const RowSelection& selection, const MaskGroup& group, double group_rows) {
  const auto leading = static_cast<double>(group.geometry.leading);
  const auto factor = static_cast<double>(selection.factor);
  return leading + (group_rows - leading) * factor * factor;
}

MaskRequest mask_request(const Plan& plan, std::int32_t group) {
  const MaskGroup& mask = plan.groups.at(static_cast<std::size_t>(group));
  return {.kind = mask.kind,
          .keep_ratio = mask.keep_ratio,
          .geometry = mask.geometry,
          .group = group,
          .start = mask.start};
}

PlanBuilder::PlanBuilder(const SiteTable& sites) : sites_(sites), plan_(full_plan(sites)) {
  plan_.strategy.clear();
}

void PlanBuilder::begin(const Spec& spec) {
  claimant_ = to_string(spec);
  if (!plan_.strategy.empty()) plan_.strategy += '+';
  plan_.strategy += claimant_;
}

std::int32_t PlanBuilder::add_group(MaskGroup group) {
  const auto same = std::ranges::count(plan_.groups, group.name, &MaskGroup::name);
  if (same > 0) group.name += concat("-", plan_.groups.size() + 1);
  plan_.groups.push_back(std::move(group));
  return static_cast<std::int32_t>(plan_.groups.size()) - 1;
}

PlanRow& PlanBuilder::claim(SiteId site, const std::string& column) {
  PlanRow& row = plan_.rows.at(static_cast<std::size_t>(site));
  const auto [place, is_new] = row.claimed_by.emplace(column, claimant_);
  if (!is_new) {
    throw UsageError(concat("strategies '", place->second, "' and '", claimant_,
                            "' both claim the ", column, " of site '", sites_[site].name,
                            "'; give them different layers or leave one out"));
  }
  return row;
}

void PlanBuilder::select(SiteId site, RowSelection selection) {
  claim(site, "select").select = selection;
}

void PlanBuilder::prefer_departure(SiteId residual, RowSelection selection) {
  departures_.emplace_back(residual, selection);
}

void PlanBuilder::settle_departure(SiteId residual, RowSelection selection) {
  const int first = sites_[residual].block;
  std::vector<PlanRow*> later;
  for (SiteId id = 0; id < sites_.size(); ++id) {
    PlanRow& row = plan_.rows[static_cast<std::size_t>(id)];
    if (sites_[id].block < first || !row.select) continue;
    if (row.select->group != selection.group) return;
    later.push_back(&row);
  }
  for (PlanRow* row : later) row->select->departed = true;
  PlanRow& row = plan_.rows[static_cast<std::size_t>(residual)];
  row.select = selection;
  row.departs = true;
  row.claimed_by.emplace("select", later.front()->claimed_by.at("select"));
}

SiteId run_again_with(const SiteTable& sites, const Plan& plan, SiteId site) {
  for (SiteId whole = sites[site].within; whole >= 0; whole = sites[whole].within) {
    if (plan[whole].materialise == Materialise::recompute) return whole;
  }
  return -1;
}

void PlanBuilder::uncode(SiteId site, std::string why) {
  PlanRow& row = plan_.rows[static_cast<std::size_t>(site)];
  row.codes.clear();
  row.note = std::move(why);
}

// What runs again keeps its input and no more: a code in it would save nothing and change the
// gradient all the same.
void PlanBuilder::settle_recomputed() {
  int uncoded = 0, dropping = 0;
  for (SiteId id = 0; id < sites_.size(); ++id) {
    const SiteId whole = run_again_with(sites_, plan_, id);
    if (whole < 0) continue;
    if (plan_[id].select) ++dropping;
    if (!plan_[id].codes.empty()) {
      uncode(id, concat("saved 0: runs again with ", sites_[whole].name));
      ++uncoded;
    }
    // The result of a ReLU that such a branch starts from is held by the branch.
    const SiteId from = sites_[id].input_from;
    if (from >= 0 && run_again_with(sites_, plan_, from) != whole) uncode_result(from, whole);
  }
  if (dropping > 0) {
    warn(concat("at ", dropping, " sites rows drop inside of what runs again in backward: that ",
                "saves time there, and no stored bytes"));
  }
  if (uncoded > 0) {
    warn(concat(uncoded, " coded layers run again in backward and keep nothing that a code could ",
                "save; they are left exact"));
  }
}

void PlanBuilder::uncode_result(SiteId producer, SiteId holder) {
  if (plan_[producer].codes.empty()) return;
  const std::string why = concat("saved 0: still held by ", sites_[holder].name);
  uncode(producer, why);
  for (SiteId taker = 0; taker < sites_.size(); ++taker) {
    const bool takes = sites_[taker].input_from == producer;
    const bool is_exact = run_again_with(sites_, plan_, taker) >= 0;  // and says why itself
    if (takes && !is_exact && !plan_[taker].codes.empty()) uncode(taker, why);
  }
}

void PlanBuilder::prefer_function(SiteId site) {
  functions_.push_back(site);
}

bool PlanBuilder::may_be_function(SiteId site) const {
  if (plan_[site].claimed_by.contains("materialise")) return false;
  for (SiteId part = 0; part < sites_.size(); ++part) {
    if (sites_[part].within == site && !plan_[part].codes.empty()) return false;
  }
  return true;
}

void PlanBuilder::materialise(SiteId site, Materialise how) {
  claim(site, "materialise").materialise = how;
}

void PlanBuilder::code(SiteId site, SavedRole role, Spec codec) {
  claim(site, concat("code:", to_string(role))).codes.emplace(role, std::move(codec));
}

void PlanBuilder::check_codes(SiteId site) const {
  const SiteId whole = sites_[site].within;
  if (plan_[site].codes.empty() || whole < 0) return;
  if (plan_[whole].materialise != Materialise::function) return;
  const auto coder = plan_[site].claimed_by.lower_bound("code:");
  throw UsageError(concat("strategy '", plan_[whole].claimed_by.at("materialise"), "' runs '",
                          sites_[whole].name, "' as one node, and strategy '", coder->second,
                          "' codes '", sites_[site].name,
                          "' in it; give them different layers or leave one out"));
}

void PlanBuilder::note(SiteId site, std::string why) {
  PlanRow& row = plan_.rows.at(static_cast<std::size_t>(site));
  row.note = std::move(why);
  row.claimed_by.emplace("note", claimant_);
}

void PlanBuilder::settle_functions() {
  int taken_apart = 0;
  for (const SiteId site : functions_) {
    if (may_be_function(site)) {
      plan_.rows.at(static_cast<std::size_t>(site)).materialise = Materialise::function;
    } else if (!plan_[site].claimed_by.contains("materialise")) {
      ++taken_apart;
    }
  }
  if (taken_apart == 0) return;
  warn(concat(taken_apart,
              " MLPs keep their parts one by one because codes are asked for inside; as ",
              "one node they may keep less: compare with an exclude=*.mlp"));
}

Plan PlanBuilder::finish() && {
  for (const auto& [residual, selection] : departures_) settle_departure(residual, selection);
  settle_recomputed();
  settle_functions();
  for (SiteId site = 0; site < sites_.size(); ++site) check_codes(site);
  return std::move(plan_);
}

Plan full_plan(const SiteTable& sites) {
  Plan plan;
  plan.strategy = "full";
  plan.rows.resize(static_cast<std::size_t>(sites.size()));
  return plan;
}

Plan resolve(std::string_view text, const SiteTable& sites, std::span<const Strategy> registered) {
  std::vector<SpecSchema> schemas;
  for (const Strategy& strategy : registered) schemas.push_back(strategy.schema);
  PlanBuilder builder(sites);
  std::vector<Spec> specs = parse_specs(text, "strategy", schemas);
  for (Spec& spec : specs) {
    if (spec.name == "full" && specs.size() > 1) {
      throw UsageError(concat("strategy '", text,
                              "' joins 'full', which drops nothing, with others; "
                              "leave it out"));
    }
    const auto strategy = std::ranges::find(
        registered, spec.name, [](const Strategy& known) { return known.schema.name; });
    if (strategy->settle != nullptr) strategy->settle(spec);
    builder.begin(spec);
    strategy->claim(spec, builder);
  }
  return std::move(builder).finish();
}

}  // namespace sbp
