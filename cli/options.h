// The words of a command line, read into settings.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "experiments/runs/run_options.h"

namespace sbp::cli {

// Where a report goes.
struct OutputOptions {
  std::string path;    // of the JSON report; empty: none, "-": standard output
  bool json = false;   // JSON on standard output, and nothing else there
  bool quiet = false;  // no text on standard output, no notes on standard error
  bool force = false;  // the file may be replaced

  bool json_on_stdout() const { return json || path == "-"; }
  bool text_on_stdout() const { return !quiet && !json_on_stdout(); }
};

struct ProfileCommand {
  experiments::ProfileOptions run;
  OutputOptions output;
  bool print_plan = false;
  std::int64_t top = 10;
  std::string list;  // a topic of --list; empty: none
};

struct TrainCommand {
  experiments::TrainOptions run;
  OutputOptions output;
  std::string list;
};

struct CorrelateCommand {
  experiments::CorrelateOptions run;
  OutputOptions output;
  std::int64_t top = 10;
  std::string list;
};

struct ReportCommand {
  std::vector<std::string> files;  // "-": standard input; a folder: of a sweep
  bool diff = false;
  std::string format = "text";
  std::string table;  // the only one to show; empty: all, or the main one
  std::int64_t top = 10;
  std::string baseline;  // AXIS=VALUE that groups of a sweep are compared with; empty: the usual
  std::string budget;    // a file of limits; empty: none
  std::string output;    // empty or "-": standard output
  std::string html;      // a file for the page, instead of all other output; empty: none
  bool force = false;    // files may be replaced
};

// --help and --version: a text to print instead of a command to run.
struct Answer {
  std::string text;
};

// `arguments` are those after the program's name. Throw UsageError with a sentence that names the
// option, its value and what would be right.
std::variant<ProfileCommand, Answer> parse_profile(const std::vector<std::string>& arguments);
std::variant<TrainCommand, Answer> parse_train(const std::vector<std::string>& arguments);
std::variant<CorrelateCommand, Answer> parse_correlate(const std::vector<std::string>& arguments);
std::variant<ReportCommand, Answer> parse_report_command(const std::vector<std::string>& arguments);

// What --list takes.
const std::vector<std::string>& list_topics();

}  // namespace sbp::cli
