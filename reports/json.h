// Reports to JSON and back. Keys are promised to scripts: docs/report-schema.md, schema/*.json.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reports/report.h"

namespace sbp::reports {

// Indented, keys in a fixed order, one newline at the end. Numbers that are not finite become
// null, with the reason in a sibling key NAME_reason.
std::string to_json(const ProfileReport& report);
std::string to_json(const TrainReport& report);
// With the summary (sweep_summary.h), and so of points whose values differ.
std::string to_json(const SweepReport& report);
std::string to_json(const CorrelateReport& report);
std::string to_json(const PredictionReport& report);

// The resolved plan alone (--print-plan --json): an object with the keys `strategy` and `plan`.
std::string plan_json(const std::vector<PlanEntry>& plan, const StrategyOutcome& strategy);

using AnyReport =
    std::variant<ProfileReport, TrainReport, CorrelateReport, SweepReport, PredictionReport>;

// Throws Error that names `source` (a file), what is wrong and where: not JSON, truncated, not a
// report, another major schema version, a missing or mistyped key, NaN, two points of one id.
AnyReport parse_report(std::string_view json, std::string_view source);

}  // namespace sbp::reports
