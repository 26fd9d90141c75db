// What reports say of a resolved plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reports/report.h"
#include "sbp/plan.h"

namespace sbp::experiments {

// One entry a site. `kept_rows`: of each mask group in the step reported.
std::vector<reports::PlanEntry> plan_entries(const SiteTable& sites, const Plan& plan,
                                             const std::vector<std::int64_t>& kept_rows);
// `kept_rows`: of each mask group, a mean where more than one step is reported.
reports::StrategyOutcome strategy_outcome(const Plan& plan, const std::vector<double>& kept_rows);
// What the plan itself says, and what the masks made of the keep ratios that were asked for, where
// it differs.
std::vector<std::string> plan_warnings(const Plan& plan, const std::vector<double>& kept_rows);

}  // namespace sbp::experiments
