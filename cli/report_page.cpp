#include "cli/report_page.h"

#include <filesystem>
#include <vector>

#include "cli/output.h"
#include "reports/html.h"
#include "reports/json.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

reports::AnyReport read_report(const std::string& file) {
  return reports::parse_report(read_file(file), file);
}

// DIR/sweep.json, and DIR/points/ID.json for those points that the page asks for.
reports::PageInput read_sweep_folder(const std::string& folder) {
  const std::filesystem::path path(folder);
  const std::string file = (path / "sweep.json").string();
  if (!std::filesystem::exists(file)) {
    throw Error(concat("cannot read '", folder, "': a folder of sbp-sweep holds sweep.json"));
  }
  return {.name = folder, .report = read_report(file), .points = [path](const std::string& id) {
            const std::string point = (path / "points" / (id + ".json")).string();
            if (!std::filesystem::exists(point)) return std::optional<reports::AnyReport>();
            return std::optional(read_report(point));
          }};
}

reports::PageInput read_input(const std::string& name) {
  if (name == "-") return {.name = "standard input", .report = read_report(name), .points = {}};
  if (std::filesystem::is_directory(name)) return read_sweep_folder(name);
  return {.name = name, .report = read_report(name), .points = {}};
}

}  // namespace

void write_page(const ReportCommand& command) {
  const OutputFile file(command.html, command.force);
  std::vector<reports::PageInput> inputs;
  for (const std::string& name : command.files) inputs.push_back(read_input(name));
  file.write(reports::html_page(inputs));
}

}  // namespace sbp::cli
