// A sweep from its plan to its report. LibTorch-free.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/sweep/engine.h"
#include "experiments/sweep/folder.h"
#include "experiments/sweep/plan.h"
#include "experiments/sweep/swept_command.h"

namespace sbp::sweep {

// Everything that was asked for.
struct Sweep {
  CommandOptions command;
  PlanRequest request;
  Plan plan;
  std::vector<PointNeeds> needs;  // one a point
  std::string about;
  std::string paper;
  bool equal_peak = false;
  std::int64_t jobs = 1;
  std::int64_t threads = 1;  // of each point whose options do not say
  bool retry_failed = false;
  std::string program;     // path of the command
  reports::Header header;  // of the sweep's report
};

struct SweepHooks {
  std::function<std::optional<std::int64_t>()> available_memory;
  std::function<bool()> interrupted;
  // Points of this run that ended, out of those to run, with a few words.
  std::function<void(std::int64_t done, std::int64_t total, const std::string& what)> progress;
  std::function<void(const std::string& line)> finished;  // a line a finished point
  std::function<void(const std::string& line)> told;      // failures and warnings
};

struct SweepResult {
  reports::SweepReport report;
  bool interrupted = false;
};

// Runs the points that `folder`, which is open, does not hold yet, and writes its sweep.json now
// and then and at the end. Throws Error where the folder cannot be written: what finished stays.
SweepResult run_sweep(const Sweep& sweep, const SweepFolder& folder, Engine& engine,
                      const SweepHooks& hooks);

// The report of what a folder holds.
reports::SweepReport sweep_report(const Sweep& sweep, const FolderContent& content);

}  // namespace sbp::sweep
