// What sbp-report is given: files, standard input, folders of sweeps.
#pragma once

#include <string>
#include <vector>

#include "reports/json.h"

namespace sbp::cli {

struct ReportInput {
  std::string name;    // as typed
  std::string folder;  // of a sweep, where its points lie; empty: not known, or no sweep
  reports::AnyReport report;
};

// All of them, or none: one bad file, and nothing is half-printed. "-" is standard input; a folder
// stands for the sweep.json in it. Throws Error that names the file.
std::vector<ReportInput> read_report_inputs(const std::vector<std::string>& files);

// Where that of a point would lie; the sweep is of a folder.
std::string point_file(const ReportInput& sweep, const reports::SweepPoint& point);

// The report of one finished point. Throws Error: it is not there or no report, or the sweep came
// from standard input.
reports::AnyReport read_point(const ReportInput& sweep, const reports::SweepPoint& point);

}  // namespace sbp::cli
