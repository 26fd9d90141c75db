// sbp-sweep: a command, once for each combination of axes.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/swept_command.h"
#include "cli/terminal.h"
#include "experiments/runs/environment.h"
#include "experiments/runs/run_estimate.h"
#include "experiments/sweep/equal_peak.h"
#include "experiments/sweep/local_engine.h"
#include "experiments/sweep/plan_text.h"
#include "experiments/sweep/sweep_run.h"
#include "reports/format.h"
#include "reports/json.h"
#include "reports/text.h"

namespace sbp::cli {
namespace {

constexpr const char* kStopping = "stopping the points that run; Ctrl-C again to stop at once";

// A progress line and Ctrl-C, for the work before points run as well.
class Watch {
 public:
  explicit Watch(bool quiet)
      : quiet_(quiet),
        live_(!quiet && is_terminal(STDERR_FILENO)),
        line_(live_, terminal_width(STDERR_FILENO), write_stderr),
        interrupt_(quiet, kStopping) {}

  // Of one piece of work; the time left counts from its beginning.
  void step(std::int64_t done, std::int64_t total, const std::string& what) {
    if (what_ != what && done <= 1) start_ = std::chrono::steady_clock::now();
    if (done <= 1) what_ = what;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
    line_.step(done, total, what, seconds.count());
  }
  void begin() { start_ = std::chrono::steady_clock::now(); }
  void tell(const std::string& text) {
    if (!quiet_) line_.note("sbp-sweep: " + text);
  }
  // A finished point: on a terminal the progress line says it.
  void tell_finished(const std::string& text) {
    if (!live_) tell(text);
  }
  void clear() { line_.clear(); }
  static void check_interrupt() {
    if (InterruptGuard::requested()) {
      throw Error("interrupted before anything ran", ExitCode::interrupted);
    }
  }

 private:
  bool quiet_;
  bool live_;
  ProgressLine line_;
  InterruptGuard interrupt_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::string what_;
};

// Points as they are asked for are told of in errors.
template <typename Work>
auto about_point(const sweep::Plan& plan, const sweep::PlannedPoint& point, Work work) {
  try {
    return work();
  } catch (const UsageError& error) {
    throw UsageError(concat("point '", sweep::point_text(plan, point), "': ", error.what()));
  }
}

reports::Header header_of(const SweepCommand& command, std::int64_t threads) {
  reports::Header header;
  header.command_line = command.command_line;
  for (const auto& [name, value] : command.base) header.configuration.emplace_back(name, value);
  // What points have where nothing was said, so that sweeps can be told apart.
  for (const sweep::SpecOption& option : spec_options(command.command)) {
    const bool is_said = std::ranges::find(command.base, option.name, &sweep::Setting::first) !=
                             command.base.end() ||
                         std::ranges::find(command.axes, option.name, &reports::SweepAxis::name) !=
                             command.axes.end();
    if (!is_said && !option.default_value.empty()) {
      header.configuration.emplace_back(option.name, option.default_value);
    }
  }
  header.configuration.emplace_back("jobs", command.jobs);
  header.configuration.emplace_back("equal_peak", command.equal_peak);
  header.configuration.emplace_back("engine", command.engine);
  header.environment = experiments::describe_environment();
  header.environment.libtorch_version = experiments::libtorch_version();
  header.environment.threads = threads;
  return header;
}

sweep::Sweep planned(const SweepCommand& command) {
  sweep::Sweep sweep;
  sweep.command = {.command = command.command,
                   .names = command.option_names,
                   .flags = command.flags,
                   .specs = spec_options(command.command)};
  sweep.request = {.base = command.base, .axes = command.axes, .exclude = command.recipe.exclude};
  sweep.plan = make_plan(sweep.command, sweep.request);
  sweep.about = command.recipe.about;
  sweep.paper = command.recipe.paper;
  sweep.equal_peak = command.equal_peak;
  sweep.jobs = command.jobs;
  const auto processors = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  sweep.threads = std::max<std::int64_t>(1, processors / command.jobs);
  sweep.retry_failed = command.retry_failed;
  // The commands lie beside each other.
  sweep.program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / ("sbp-" + command.command);
  sweep.header = header_of(command, sweep.threads);
  return sweep;
}

// What every point needs; whatever its command would refuse is refused here.
void survey(sweep::Sweep& sweep, sweep::SweptCommand& swept, Watch& watch) {
  if (sweep.equal_peak) {
    make_peaks_equal(sweep.command, sweep.plan, swept, [&](std::size_t done) {
      Watch::check_interrupt();
      watch.step(static_cast<std::int64_t>(done), std::ssize(sweep.plan.points), "equal peaks");
    });
  }
  for (const sweep::PlannedPoint& point : sweep.plan.points) {
    Watch::check_interrupt();
    watch.step(std::ssize(sweep.needs), std::ssize(sweep.plan.points), "dry runs");
    sweep.needs.push_back(about_point(
        sweep.plan, point, [&] { return swept.needs(words_of(sweep.command, point.options)); }));
  }
}

std::vector<std::optional<double>> try_out(const sweep::Sweep& sweep, sweep::SweptCommand& swept,
                                           Watch& watch) {
  std::vector<std::optional<double>> seconds;
  for (const sweep::PlannedPoint& point : sweep.plan.points) {
    Watch::check_interrupt();
    watch.step(std::ssize(seconds), std::ssize(sweep.plan.points), "trial steps");
    seconds.push_back(about_point(sweep.plan, point, [&] {
      return swept.seconds(words_of(sweep.command, point.options), sweep.threads);
    }));
  }
  return seconds;
}

ExitCode list(const sweep::Sweep& sweep, const SweepCommand& command, sweep::SweptCommand& swept,
              Watch& watch) {
  sweep::FolderContent content;
  if (!command.folder.empty()) {
    content = sweep::SweepFolder(command.folder)
                  .read(sweep.command, sweep.plan, sweep::SweepFolder::Damaged::stays);
  }
  std::vector<std::optional<double>> seconds;
  if (command.trial) seconds = try_out(sweep, swept, watch);
  const reports::SweepReport report = sweep_report(sweep, content);
  watch.clear();
  write_stdout(command.json ? reports::to_json(report) : plan_text(sweep, content, seconds));
  for (const std::string& warning : report.header.warnings) watch.tell("warning: " + warning);
  return ExitCode::ok;
}

sweep::SweepHooks hooks_of(Watch& watch) {
  return {.available_memory = [] { return experiments::available_memory_bytes(); },
          .interrupted = [] { return InterruptGuard::requested(); },
          .progress = [&watch](std::int64_t done, std::int64_t total,
                               const std::string& what) { watch.step(done, total, what); },
          .finished = [&watch](const std::string& text) { watch.tell_finished(text); },
          .told = [&watch](const std::string& text) { watch.tell(text); }};
}

ExitCode finish(const sweep::SweepResult& result, const SweepCommand& command,
                const sweep::SweepFolder& folder) {
  const reports::SweepReport& report = result.report;
  if (command.json) {
    write_stdout(reports::to_json(report));
  } else if (!command.quiet) {
    reports::TextOptions options;
    options.color = wants_color(STDOUT_FILENO);
    write_stdout(concat(reports::to_text(report, options), "\n",
                        reports::printable(folder.report_file()), "\n"));
  }
  const std::string counts = reports::point_counts_text(report);
  if (result.interrupted) {
    throw Error(concat("interrupted: ", counts, "; the same command goes on"),
                ExitCode::interrupted);
  }
  const bool all = std::ranges::all_of(report.points, [](const reports::SweepPoint& point) {
    return point.status == reports::PointStatus::finished;
  });
  if (all) return ExitCode::ok;
  throw Error(concat("not every point finished: ", counts, "; '", folder.path(),
                     "/failures' says why, --retry-failed runs them again"));
}

ExitCode sweep_command(const std::vector<std::string>& arguments) {
  const auto parsed = parse_sweep(arguments);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) {
    write_stdout(answer->text);
    return ExitCode::ok;
  }
  const auto& command = std::get<SweepCommand>(parsed);
  sweep::Sweep sweep = planned(command);
  if (command.folder.empty() && !command.list) {
    throw UsageError("no folder given; --output DIR says where points go");
  }
  sweep::SweepFolder folder(command.folder);
  if (!command.list) folder.check_free();
  Watch watch(command.quiet);
  const std::unique_ptr<sweep::SweptCommand> swept = swept_command(command.command);
  survey(sweep, *swept, watch);
  if (command.list) return list(sweep, command, *swept, watch);

  folder.open();
  watch.clear();
  watch.begin();
  sweep::LocalEngine engine;
  const sweep::SweepResult result = run_sweep(sweep, folder, engine, hooks_of(watch));
  watch.clear();
  return finish(result, command, folder);
}

}  // namespace
}  // namespace sbp::cli

int main(int argc, char** argv) {
  sbp::cli::wait_without_spinning(argv);
  return sbp::cli::run_command("sbp-sweep", argc, argv, sbp::cli::sweep_command);
}
