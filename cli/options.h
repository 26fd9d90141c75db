// The words of a command line, read into settings.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "experiments/runs/run_options.h"
#include "experiments/sweep/recipe.h"
#include "reports/report.h"

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
  std::string published;  // a file or folder of published figures to predict; empty: none
  std::string list;       // a topic of --list; empty: none
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
  // Files made of one report instead of what would be printed; empty: none.
  std::string chrome_trace;
  std::string memory_pickle;
  bool force = false;  // files may be replaced

  bool exports() const { return !chrome_trace.empty() || !memory_pickle.empty(); }
};

struct SweepCommand {
  std::string command = "train";  // that points run
  sweep::Recipe recipe;           // empty without one
  std::string recipe_file;
  std::vector<std::string> axis_texts;    // as typed
  std::vector<sweep::Setting> base;       // options of the command that were given
  std::vector<reports::SweepAxis> axes;   // of the recipe and the command line
  std::vector<std::string> option_names;  // of all options of the command
  std::set<std::string> flags;            // of those that take no value
  bool equal_peak = false;
  std::string folder;
  std::int64_t jobs = 1;
  std::string engine = "local";
  bool retry_failed = false;
  bool list = false;
  bool trial = true;
  bool json = false;
  bool quiet = false;
  std::vector<std::string> command_line;
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
std::variant<SweepCommand, Answer> parse_sweep(const std::vector<std::string>& arguments);
std::variant<ReportCommand, Answer> parse_report_command(const std::vector<std::string>& arguments);

// What --list takes.
const std::vector<std::string>& list_topics();

}  // namespace sbp::cli
