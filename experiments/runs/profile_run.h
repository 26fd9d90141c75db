// One traced training step.
#pragma once

#include <string>
#include <vector>

#include "experiments/runs/run_options.h"
#include "reports/report.h"

namespace sbp::experiments {

// Builds model, data, strategy and optimizer, runs the warm-up steps, traces one step, then times
// untraced ones. Throws UsageError for what was asked wrongly, Error for what failed.
reports::ProfileReport run_profile(const ProfileOptions& options, const Progress& progress = {});

struct PlanPreview {
  std::vector<reports::PlanEntry> plan;
  reports::StrategyOutcome strategy;
  std::vector<std::string> warnings;
};

// The resolved plan, with the masks of the step that a profile would trace, without running or
// allocating the model (--print-plan).
PlanPreview preview_plan(const ProfileOptions& options);

}  // namespace sbp::experiments
