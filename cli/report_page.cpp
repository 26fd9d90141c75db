#include "cli/report_page.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "cli/report_inputs.h"
#include "reports/html.h"

namespace sbp::cli {
namespace {

// A sweep.json alone, without the points beside it, is a page without their layers.
reports::PointLoader points_of(const ReportInput& input) {
  if (input.folder.empty()) return {};
  return [&input](const reports::SweepPoint& point) -> std::optional<reports::AnyReport> {
    if (!std::filesystem::exists(point_file(input, point))) return std::nullopt;
    return read_point(input, point);
  };
}

}  // namespace

void write_page(const ReportCommand& command) {
  const OutputFile file(command.html, command.force);
  const std::vector<ReportInput> inputs = read_report_inputs(command.files);
  std::vector<reports::PageInput> shown;
  for (const ReportInput& input : inputs) {
    shown.push_back({.name = input.name == "-" ? "standard input" : input.name,
                     .report = input.report,
                     .points = points_of(input)});
  }
  file.write(reports::html_page(shown));
}

}  // namespace sbp::cli
