// What a sweep's folder remembers beside reports. Not reports: only the sweep reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/report.h"

namespace sbp::reports {

// Why a point is not finished (DIR/failures/ID.json).
struct PointFailure {
  std::string id;
  std::vector<std::pair<std::string, std::string>> axes;  // those that apply
  std::vector<std::string> command_line;
  PointStatus status = PointStatus::failed;
  std::string reason;
  std::optional<std::int64_t> exit_code;
  std::optional<std::int64_t> signal;
  std::optional<double> seconds;
  std::string last_words;  // the end of its standard error
  std::string version;     // of the program

  bool operator==(const PointFailure&) const = default;
};

// What was asked for (DIR/plan.json).
struct SweepPlanRecord {
  std::string version;  // of the program
  std::string command;
  std::vector<std::pair<std::string, std::string>> base;
  std::vector<SweepAxis> axes;
  std::vector<std::string> exclude;  // each as "strategy=full, seed=1"
  bool equal_peak = false;
  std::vector<std::string> points;  // ids

  bool operator==(const SweepPlanRecord&) const = default;
};

std::string to_json(const PointFailure& failure);
std::string to_json(const SweepPlanRecord& record);

// Throw Error that names `source` (a file) and what is wrong and where.
PointFailure parse_failure(std::string_view json, std::string_view source);
SweepPlanRecord parse_plan_record(std::string_view json, std::string_view source);

}  // namespace sbp::reports
