#include "cli/report_inputs.h"

#include <filesystem>

#include "cli/output.h"
#include "reports/documents.h"
#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::cli {
namespace {

constexpr const char* kSweepFile = "sweep.json";

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return path != "-" && std::filesystem::is_directory(path, ignored);
}

std::string file_in(const std::string& folder) {
  const std::string file = (std::filesystem::path(folder) / kSweepFile).string();
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    throw Error(concat("cannot read '", folder, "': it is a folder without ", kSweepFile,
                       "; name a report, or the folder that sbp-sweep wrote"));
  }
  return file;
}

ReportInput read_input(const std::string& name) {
  const std::string file = is_folder(name) ? file_in(name) : name;
  ReportInput input{.name = name, .folder = {}, .report = {}};
  input.report = reports::parse_report(read_file(file), file);
  const bool is_sweep = std::holds_alternative<reports::SweepReport>(input.report);
  if (is_sweep && file != "-") input.folder = folder_of(file);
  if (is_folder(name) && !is_sweep) {
    throw Error(concat("cannot read '", file, "': it is a report of kind '",
                       reports::kind_of(input.report), "', not of a sweep"));
  }
  return input;
}

}  // namespace

std::vector<ReportInput> read_report_inputs(const std::vector<std::string>& files) {
  std::vector<ReportInput> inputs;
  for (const std::string& file : files) inputs.push_back(read_input(file));
  return inputs;
}

std::string point_file(const ReportInput& sweep, const reports::SweepPoint& point) {
  return (std::filesystem::path(sweep.folder) / "points" / (point.id + ".json")).string();
}

reports::AnyReport read_point(const ReportInput& sweep, const reports::SweepPoint& point) {
  if (sweep.folder.empty()) {
    throw Error(concat("cannot read the points of '", sweep.name,
                       "': only its summary was given; name the folder of the sweep"));
  }
  const std::string file = point_file(sweep, point);
  return reports::parse_report(read_file(file), file);
}

}  // namespace sbp::cli
