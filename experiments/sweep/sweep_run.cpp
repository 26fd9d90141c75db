#include "experiments/sweep/sweep_run.h"

#include <algorithm>
#include <chrono>

#include "experiments/sweep/outcome.h"
#include "experiments/sweep/scheduler.h"
#include "reports/format.h"
#include "reports/sweep_points.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

using reports::PointStatus;
using std::chrono::steady_clock;

// The report of many points takes long to write: never more than a small part of the time.
constexpr std::chrono::seconds kBetweenReports{5};
constexpr int kShareOfReports = 20;

reports::SweepPlanRecord record_of(const Sweep& sweep) {
  reports::SweepPlanRecord record;
  record.version = version_text(sweep.header.environment);
  record.command = sweep.command.command;
  record.base = sweep.request.base;
  record.axes = sweep.request.axes;
  for (const auto& exclusion : sweep.request.exclude) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : exclusion) parts.push_back(concat(name, "=", value));
    record.exclude.push_back(join(parts));
  }
  record.equal_peak = sweep.equal_peak;
  for (const PlannedPoint& point : sweep.plan.points) record.points.push_back(point.id);
  return record;
}

// "3 of 24 finished points were made by X, this is Y".
void warn_of_others(const std::map<std::string, std::int64_t>& counts, const std::string& ours,
                    const std::string& what, std::vector<std::string>& warnings) {
  std::int64_t all = 0;
  for (const auto& count : counts) all += count.second;
  for (const auto& [value, count] : counts) {
    if (value == ours) continue;
    warnings.push_back(concat(count, " of ", all, " finished points were ", what, " '", value,
                              "'; this is '", ours, "'"));
  }
}

std::vector<std::string> comparability_warnings(const Sweep& sweep, const FolderContent& content) {
  std::map<std::string, std::int64_t> versions;
  std::map<std::string, std::int64_t> machines;
  std::map<std::int64_t, std::int64_t> threads;
  for (const auto& finished : content.finished) {
    ++versions[finished.second.version];
    ++machines[finished.second.machine];
    ++threads[finished.second.threads];
  }
  std::vector<std::string> warnings;
  warn_of_others(versions, version_text(sweep.header.environment), "made by version", warnings);
  warn_of_others(machines, sweep.header.environment.processor, "run on the processor", warnings);
  const bool is_axis = std::ranges::any_of(
      sweep.plan.axes, [](const reports::SweepAxis& axis) { return axis.name == "threads"; });
  if (threads.size() > 1 && !is_axis) {
    std::vector<std::string> parts;
    for (const auto& [number, count] : threads) {
      parts.push_back(concat(count, " with ", number));
    }
    warnings.push_back(concat("finished points ran with different numbers of threads (",
                              join(parts), "): their times do not compare"));
  }
  return warnings;
}

class SweepRun {
 public:
  SweepRun(const Sweep& sweep, const SweepFolder& folder, Engine& engine, const SweepHooks& hooks)
      : sweep_(sweep), folder_(folder), engine_(engine), hooks_(hooks) {
    for (const PlannedPoint& point : sweep.plan.points) points_[point.id] = &point;
  }

  SweepResult run() {
    content_ = folder_.read(sweep_.command, sweep_.plan, SweepFolder::Damaged::is_moved);
    const reports::SweepPlanRecord record = record_of(sweep_);
    if (content_.plan && !content_.finished.empty()) {
      const std::string change = plan_change(*content_.plan, record);
      if (!change.empty()) content_.warnings.insert(content_.warnings.begin(), change);
    }
    tell_warnings();
    const bool complete = run(record);
    return {.report = sweep_report(sweep_, content_), .interrupted = !complete};
  }

 private:
  void tell_warnings() {
    for (const std::string& warning : sweep_report(sweep_, content_).header.warnings) {
      hooks_.told("warning: " + warning);
    }
  }

  // Every error says what is finished and stays.
  bool run(const reports::SweepPlanRecord& record) {
    const ScheduleHooks hooks{
        .available_memory = hooks_.available_memory,
        .interrupted = hooks_.interrupted,
        .ended = [this](const Ended& end) { finish(end); },
        .too_large = [this](const Task& task, std::int64_t has) { refuse(task, has); },
        .tick = [this] { tick(); }};
    try {
      folder_.write_plan(record);
      std::vector<Task> tasks = tasks_to_run();
      total_ = std::ssize(tasks);
      if (total_ > 0) write_report();
      const bool complete = run_tasks(std::move(tasks), sweep_.jobs, engine_, hooks);
      write_report();
      return complete;
    } catch (const Error& error) {
      throw Error(concat(error.what(), "; ", content_.finished.size(), " of ",
                         sweep_.plan.points.size(),
                         " points are finished and stay; the same command goes on"));
    }
  }

  std::vector<Task> tasks_to_run() const {
    std::vector<Task> tasks;
    for (std::size_t i = 0; i < sweep_.plan.points.size(); ++i) {
      const PlannedPoint& point = sweep_.plan.points[i];
      if (content_.finished.contains(point.id)) continue;
      if (content_.failures.contains(point.id) && !sweep_.retry_failed) continue;
      tasks.push_back({.id = point.id,
                       .command = command_of(point),
                       .memory_bytes = sweep_.needs[i].memory_bytes});
    }
    return tasks;
  }

  std::vector<std::string> words_of_point(const PlannedPoint& point) const {
    return words_of(sweep_.command, point.options);
  }

  std::vector<std::string> command_of(const PlannedPoint& point) const {
    std::vector<std::string> command = words_of_point(point);
    command.insert(command.begin(), sweep_.program);
    if (!option_of(sweep_.command, point.options, "threads")) {
      command.insert(command.end(), {"--threads", std::to_string(sweep_.threads)});
    }
    command.insert(command.end(), {"--quiet", "--output", folder_.running_file(point.id)});
    return command;
  }

  void finish(const Ended& end) {
    const PlannedPoint& point = *points_.at(end.id);
    Outcome outcome = outcome_of(end, folder_.running_file(end.id));
    if (outcome.disk_is_full) throw Error(outcome.reason);
    if (outcome.status == PointStatus::finished) {
      try {
        content_.finished[end.id] =
            folder_.read_running(end.id, sweep_.command.command, words_of_point(point));
      } catch (const Error& error) {
        outcome = {.status = PointStatus::failed,
                   .reason = concat("ended without its report: ", error.what())};
      }
    }
    if (outcome.status != PointStatus::finished) return fail(point, end, outcome);
    try {
      folder_.accept(end.id, end.seconds);
    } catch (const Error&) {
      content_.finished.erase(end.id);
      throw;
    }
    content_.seconds[end.id] = end.seconds;
    content_.failures.erase(end.id);
    ++done_;
    hooks_.finished(concat("finished ", done_, " of ", total_, " in ",
                           reports::seconds_text(end.seconds), ": ",
                           point_text(sweep_.plan, point)));
  }

  void fail(const PlannedPoint& point, const Ended& end, const Outcome& outcome) {
    folder_.discard(end.id);
    reports::PointFailure failure = failure_of(point);
    failure.status = outcome.status;
    failure.reason = outcome.reason;
    if (end.exit_code) failure.exit_code = *end.exit_code;
    if (!end.exit_code) failure.signal = end.signal;
    failure.seconds = end.seconds;
    failure.last_words = end.last_words;
    record(point, std::move(failure));
  }

  void refuse(const Task& task, std::int64_t available) {
    const PlannedPoint& point = *points_.at(task.id);
    reports::PointFailure failure = failure_of(point);
    failure.status = PointStatus::out_of_memory;
    failure.reason = concat("not run: it needs about ", reports::bytes_text(*task.memory_bytes),
                            " and the machine has ", reports::bytes_text(available), " available");
    record(point, std::move(failure));
  }

  reports::PointFailure failure_of(const PlannedPoint& point) const {
    reports::PointFailure failure;
    failure.id = point.id;
    for (std::size_t i = 0; i < sweep_.plan.axes.size(); ++i) {
      if (point.values[i]) failure.axes.emplace_back(sweep_.plan.axes[i].name, *point.values[i]);
    }
    failure.command_line = command_of(point);
    failure.version = version_text(sweep_.header.environment);
    return failure;
  }

  void record(const PlannedPoint& point, reports::PointFailure failure) {
    folder_.write_failure(failure);
    ++done_;
    ++failed_;
    std::string status(to_string(failure.status));
    std::ranges::replace(status, '_', ' ');
    hooks_.told(concat(status, ", ", done_, " of ", total_, ": ", point_text(sweep_.plan, point),
                       ": ", failure.reason));
    content_.failures[point.id] = std::move(failure);
  }

  void tick() {
    hooks_.progress(done_, total_, concat(engine_.running(), " running, ", failed_, " failed"));
    const auto now = steady_clock::now();
    if (now - reported_at_ < std::max<steady_clock::duration>(kBetweenReports, pause_)) return;
    if (done_ != reported_done_) write_report();
  }

  void write_report() {
    const auto start = steady_clock::now();
    folder_.write_report(sweep_report(sweep_, content_));
    reported_at_ = steady_clock::now();
    pause_ = kShareOfReports * (reported_at_ - start);
    reported_done_ = done_;
  }

  const Sweep& sweep_;
  const SweepFolder& folder_;
  Engine& engine_;
  const SweepHooks& hooks_;
  std::map<std::string, const PlannedPoint*> points_;  // by id
  FolderContent content_;
  std::int64_t total_ = 0;   // points to run
  std::int64_t done_ = 0;    // of them, finished or not
  std::int64_t failed_ = 0;  // of them
  steady_clock::time_point reported_at_;
  steady_clock::duration pause_{};
  std::int64_t reported_done_ = 0;
};

}  // namespace

reports::SweepReport sweep_report(const Sweep& sweep, const FolderContent& content) {
  reports::SweepReport report;
  report.header = sweep.header;
  for (const auto* warnings : {&sweep.plan.warnings, &content.warnings}) {
    report.header.warnings.insert(report.header.warnings.end(), warnings->begin(), warnings->end());
  }
  for (std::string& warning : comparability_warnings(sweep, content)) {
    report.header.warnings.push_back(std::move(warning));
  }
  report.command = sweep.command.command;
  report.about = sweep.about;
  report.paper = sweep.paper;
  report.axes = sweep.plan.axes;
  for (std::size_t i = 0; i < sweep.plan.points.size(); ++i) {
    const PlannedPoint& planned = sweep.plan.points[i];
    reports::SweepPoint point;
    point.id = planned.id;
    point.values = planned.values;
    if (i < sweep.needs.size()) point.estimated_bytes = sweep.needs[i].memory_bytes;
    if (const auto found = content.finished.find(planned.id); found != content.finished.end()) {
      point.status = PointStatus::finished;
      point.figures = found->second.figures;
      if (const auto seconds = content.seconds.find(planned.id); seconds != content.seconds.end()) {
        point.seconds = seconds->second;
      }
    } else if (const auto failure = content.failures.find(planned.id);
               failure != content.failures.end()) {
      point.status = failure->second.status;
      point.reason = failure->second.reason;
      point.seconds = failure->second.seconds;
    } else {
      point.reason = "not run yet";
    }
    report.points.push_back(std::move(point));
  }
  return report;
}

SweepResult run_sweep(const Sweep& sweep, const SweepFolder& folder, Engine& engine,
                      const SweepHooks& hooks) {
  return SweepRun(sweep, folder, engine, hooks).run();
}

}  // namespace sbp::sweep
