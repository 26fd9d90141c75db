// The folder of a sweep. LibTorch-free.
//
//   points/ID.json    a finished point: its command's own report, there whole or not at all
//   failures/ID.json  why a point is not finished
//   sweep.json        the sweep's report
//   plan.json         what was asked for, to notice a change
//   seconds.txt       a line a finished point: ID, and how long its process took
//   lock              held by the sweep that runs; the kernel lets go of it when that ends
//   running/          reports that processes write, until they are looked at and moved
//   aside/            what lay in points/ and was no report of its point
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/sweep/collect.h"
#include "experiments/sweep/plan.h"
#include "reports/sweep_state.h"
#include "sbp/base/descriptor.h"

namespace sbp::sweep {

// What a folder holds of a plan's points.
struct FolderContent {
  std::map<std::string, PointFacts> finished;             // by id
  std::map<std::string, reports::PointFailure> failures;  // by id, of those not finished
  std::map<std::string, double> seconds;                  // by id
  std::vector<std::string> warnings;                      // damaged files, and files of nobody
  std::optional<reports::SweepPlanRecord> plan;           // of the sweep before
};

class SweepFolder {
 public:
  explicit SweepFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Throws Error when another sweep runs there; changes nothing.
  void check_free() const;
  // Makes it where it is absent (its parent must be there), locks it until this object dies, and
  // empties running/. Throws UsageError as make_folder does, Error when another sweep holds it.
  void open();

  enum class Damaged { stays, is_moved };
  // A damaged file is warned of, and moved to aside/ where so asked. `command` and `plan` say what
  // the points are.
  FolderContent read(const CommandOptions& command, const Plan& plan, Damaged damaged) const;

  std::string report_file() const { return path_ + "/sweep.json"; }
  // What the process of a point writes to; does not end in .json.
  std::string running_file(const std::string& id) const { return path_ + "/running/" + id; }
  // The report that lies there. Throws Error saying what is wrong with it.
  PointFacts read_running(const std::string& id, const std::string& command,
                          const std::vector<std::string>& words) const;
  // Makes it a finished point. Throws Error when that cannot be written.
  void accept(const std::string& id, double seconds) const;
  void discard(const std::string& id) const;

  void write_failure(const reports::PointFailure& failure) const;
  void write_plan(const reports::SweepPlanRecord& record) const;
  void write_report(const reports::SweepReport& report) const;

 private:
  std::string point_file(const std::string& id) const { return path_ + "/points/" + id + ".json"; }
  std::string failure_file(const std::string& id) const {
    return path_ + "/failures/" + id + ".json";
  }
  void set_aside(const std::string& folder, const std::string& name) const;
  void read_points(const CommandOptions& command, const Plan& plan, Damaged damaged,
                   FolderContent& content) const;
  void read_failures(const Plan& plan, Damaged damaged, FolderContent& content) const;
  void read_seconds(FolderContent& content) const;
  void read_plan(FolderContent& content) const;

  std::string path_;
  Descriptor lock_{-1};
};

// What of `now` differs from `before`, as a sentence; empty: nothing.
std::string plan_change(const reports::SweepPlanRecord& before,
                        const reports::SweepPlanRecord& now);

}  // namespace sbp::sweep
