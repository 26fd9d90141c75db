// Hands a finished report to where the options want it, and tells of the run while it goes on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "experiments/runs/run_options.h"

namespace sbp::cli {

class Delivery {
 public:
  // Checks the output file before the work; see OutputFile. `program` begins notes.
  Delivery(std::string program, const OutputOptions& options);

  // The file first, so that a broken standard output does not lose the report. `warnings` are
  // noted on standard error where no text shows them.
  void deliver(const std::string& json, const std::string& text,
               const std::vector<std::string>& warnings) const;

 private:
  std::string program_;
  OutputOptions options_;
  std::optional<OutputFile> file_;
};

// A progress line on standard error where that is a terminal; epoch lines everywhere but with
// `quiet`; Ctrl-C.
class RunWatch {
 public:
  explicit RunWatch(bool quiet);

  // Valid as long as this object.
  experiments::Progress progress();
  void finish() { line_.clear(); }

 private:
  bool quiet_;
  ProgressLine line_;
  InterruptGuard interrupt_;
};

}  // namespace sbp::cli
