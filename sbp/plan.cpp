#include "sbp/plan.h"

#include <algorithm>
#include <utility>

#include "sbp/base/error.h"

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

double site_rows(const RowSelection& selection, const MaskGroup& group, double group_rows) {
  const auto leading = static_cast<double>(group.geometry.leading);
  const auto factor = static_cast<double>(selection.factor);
  return leading + (group_rows - leading) * factor * factor;
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

void PlanBuilder::materialise(SiteId site, Materialise how) {
  claim(site, "materialise").materialise = how;
}

void PlanBuilder::code(SiteId site, SavedRole role, Spec codec) {
  claim(site, concat("code:", to_string(role))).codes.emplace(role, std::move(codec));
}

void PlanBuilder::note(SiteId site, std::string why) {
  PlanRow& row = plan_.rows.at(static_cast<std::size_t>(site));
  row.note = std::move(why);
  row.claimed_by.emplace("note", claimant_);
}

void PlanBuilder::warn(std::string warning) {
  plan_.warnings.push_back(std::move(warning));
}

Plan PlanBuilder::finish() && {
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
  const std::vector<Spec> specs = parse_specs(text, "strategy", schemas);
  for (const Spec& spec : specs) {
    if (spec.name == "full" && specs.size() > 1) {
      throw UsageError(concat("strategy '", text,
                              "' joins 'full', which drops nothing, with others; "
                              "leave it out"));
    }
    builder.begin(spec);
    for (const Strategy& strategy : registered) {
      if (strategy.schema.name == spec.name) strategy.claim(spec, builder);
    }
  }
  return std::move(builder).finish();
}

}  // namespace sbp
