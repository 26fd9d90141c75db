// The options of sbp-report.
#include "cli/option_groups.h"
#include "cli/options.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

constexpr const char* kReportPurpose =
    "Prints reports and sweeps as text, Markdown, CSV or JSON tables, and the difference of two.";
constexpr const char* kReportExamples =
    "Examples:\n"
    "  sbp-report run.json\n"
    "  sbp-report runs/*.json --format markdown -o runs.md\n"
    "  sbp-report half.json --format csv --table layers\n"
    "  sbp-report --diff full.json half.json --top 10\n"
    "  sbp-report --html page.html full.json half.json\n"
    "  sbp-profile --json | sbp-report -";

// An export is of one report and takes the place of what would be printed.
void check_exports(const ReportCommand& command) {
  if (!command.exports()) return;
  if (command.files.size() != 1) {
    throw UsageError(concat("an export is of one report, not of ", command.files.size()));
  }
  if (command.diff || command.format != "text" || !command.budget.empty() ||
      !command.table.empty() || !command.baseline.empty() || !command.output.empty()) {
    throw UsageError(
        "an export prints nothing; leave --diff, --format, --budget, --table, --baseline and "
        "--output out");
  }
  if (command.chrome_trace == "-" && command.memory_pickle == "-") {
    throw UsageError(
        "--chrome-trace and --memory-pickle cannot both go to standard output; name a file for "
        "one");
  }
}

}  // namespace

std::variant<ReportCommand, Answer> parse_report_command(
    const std::vector<std::string>& arguments) {
  ReportCommand command;
  Parser parser("sbp-report", kReportPurpose, kReportExamples);
  parser.group("What to print");
  parser.files({"FILE", "", "reports, or a sweep's folder; - is standard input"}, command.files);
  parser.flag({"--diff", "", "the difference of two reports of one kind"}, command.diff);
  parser.choice({"--format", "WORD", "text, markdown, csv (one table) or json"}, command.format,
                {"text", "markdown", "csv", "json"});
  parser.text({"--table", "NAME", "only this table; another name lists those there are"},
              command.table);
  parser.integer({"--top", "N", "layers, largest first; 0: all"}, command.top, kCount);
  parser.text({"--baseline", "AXIS=VALUE", "what points of a sweep are compared with"},
              command.baseline);
  parser.group("What to check");
  parser.text({"--budget", "FILE", "hold reports to the limits of FILE; exit 1 if one is over"},
              command.budget);
  parser.group("Where the result goes");
  parser.text({"-o,--output", "FILE", "instead of standard output"}, command.output);
  parser.text({"--html", "FILE", "only write one page of figures, for a browser"}, command.html);
  parser.text({"--chrome-trace", "FILE", "instead: memory over time, for Perfetto"},
              command.chrome_trace);
  parser.text({"--memory-pickle", "FILE", "instead: a snapshot for PyTorch's memory viewer"},
              command.memory_pickle);
  parser.flag({"--force", "", "replace files that exist"}, command.force);
  if (auto answer = parser.parse(arguments)) return Answer{*answer};

  if (command.files.empty()) throw UsageError("no FILE given; see --help");
  if (command.diff && command.files.size() != 2) {
    throw UsageError(concat("--diff compares two files, not ", command.files.size()));
  }
  if (!command.baseline.empty() && (command.diff || command.files.size() > 1)) {
    throw UsageError("--baseline is for one sweep alone");
  }
  if (!command.budget.empty() && command.diff) {
    throw UsageError("--budget and --diff are both given; give one of the two");
  }
  const bool prints = command.diff || command.format != "text" || !command.table.empty() ||
                      !command.baseline.empty() || !command.output.empty() ||
                      !command.budget.empty() || command.exports();
  if (!command.html.empty() && prints) {
    throw UsageError(
        "--html writes the page and nothing else; leave out --diff, --format, --table, --baseline, "
        "--output, --budget and exports");
  }
  check_exports(command);
  return command;
}

}  // namespace sbp::cli
