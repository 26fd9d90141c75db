// sbp-report: reports as text, and the difference of two.
#include <unistd.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report_page.h"
#include "cli/terminal.h"
#include "reports/diff.h"
#include "reports/json.h"
#include "reports/text.h"

namespace sbp::cli {
namespace {

const reports::ProfileReport& profile_of(const reports::AnyReport& report,
                                         const std::string& file) {
  const auto* profile = std::get_if<reports::ProfileReport>(&report);
  if (profile == nullptr) {
    throw Error(concat("cannot compare '", file, "': --diff compares reports of sbp-profile"));
  }
  return *profile;
}

std::string text_of(const ReportCommand& command, const reports::TextOptions& options) {
  // All are read before any is printed: one bad file, and nothing half-printed.
  std::vector<reports::AnyReport> reports;
  for (const std::string& file : command.files) {
    reports.push_back(reports::parse_report(read_file(file), file));
  }
  if (command.diff) {
    return diff_text(profile_of(reports[0], command.files[0]),
                     profile_of(reports[1], command.files[1]), options);
  }
  std::string text;
  for (const reports::AnyReport& report : reports) {
    if (!text.empty()) text += "\n";
    text += std::visit([&](const auto& any) { return reports::to_text(any, options); }, report);
  }
  return text;
}

ExitCode report(const std::vector<std::string>& arguments) {
  const auto parsed = parse_report_command(arguments);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) {
    write_stdout(answer->text);
    return ExitCode::ok;
  }
  const auto& command = std::get<ReportCommand>(parsed);
  if (!command.html.empty()) {
    write_page(command);
    return ExitCode::ok;
  }
  write_stdout(text_of(command, {.top = command.top, .color = wants_color(STDOUT_FILENO)}));
  return ExitCode::ok;
}

}  // namespace
}  // namespace sbp::cli

int main(int argc, char** argv) {
  return sbp::cli::run_command("sbp-report", argc, argv, sbp::cli::report);
}
