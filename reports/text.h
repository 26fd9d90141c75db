// Reports as text for people.
#pragma once

#include <cstdint>
#include <string>

#include "reports/report.h"

namespace sbp::reports {

struct TextOptions {
  std::int64_t top = 10;  // layers shown, those that own most at the peak first; 0 = all
  bool color = false;
};

std::string to_text(const ProfileReport& report, const TextOptions& options = {});
// The memory alone, without the run that it is of.
std::string to_text(const profiler::MemoryProfile& memory, const TextOptions& options = {});
std::string to_text(const TrainReport& report, const TextOptions& options = {});
// What was finished, and what was not and why.
std::string to_text(const SweepReport& report, const TextOptions& options = {});
// "22 finished, 1 failed, 1 out of memory".
std::string point_counts_text(const SweepReport& report);
// `top`: of the layers with the lowest cosine.
std::string to_text(const PredictionReport& report, const TextOptions& options = {});
std::string to_text(const CorrelateReport& report, const TextOptions& options = {});
// The plan alone, one row a site that differs from plain; all rows where `all`.
std::string plan_text(const std::vector<PlanEntry>& plan, const StrategyOutcome& strategy);
// "271.5 MiB", "812 B"; binary units.
std::string bytes_text(std::int64_t bytes);

}  // namespace sbp::reports
