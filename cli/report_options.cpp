// The options of sbp-report.
#include "cli/option_groups.h"
#include "cli/options.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

constexpr const char* kReportPurpose =
    "Prints reports of sbp-train and sbp-profile as text, or the difference of two profiles.";
constexpr const char* kReportExamples =
    "Examples:\n"
    "  sbp-report run.json\n"
    "  sbp-report --diff full.json half.json --top 10\n"
    "  sbp-report --html page.html full.json half.json\n"
    "  sbp-profile --json | sbp-report -";

}  // namespace

std::variant<ReportCommand, Answer> parse_report_command(
    const std::vector<std::string>& arguments) {
  ReportCommand command;
  Parser parser("sbp-report", kReportPurpose, kReportExamples);
  parser.group("What to print");
  parser.files({"FILE", "", "reports; - is standard input"}, command.files);
  parser.flag({"--diff", "", "the difference of two profiles, by layer"}, command.diff);
  parser.integer({"--top", "N", "layers, largest first; 0: all"}, command.top, kCount);
  parser.text({"--html", "FILE", "one page of figures, to open in a browser"}, command.html);
  parser.flag({"--force", "", "replace FILE if it exists"}, command.force);
  if (auto answer = parser.parse(arguments)) return Answer{*answer};

  if (command.files.empty()) throw UsageError("no FILE given; see --help");
  if (command.diff && command.files.size() != 2) {
    throw UsageError(concat("--diff compares two files, not ", command.files.size()));
  }
  return command;
}

}  // namespace sbp::cli
