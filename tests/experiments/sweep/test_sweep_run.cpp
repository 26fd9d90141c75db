#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "experiments/sweep/plan_text.h"
#include "experiments/sweep/sweep_run.h"
#include "reports/json.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/experiments/sweep/fakes.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::sweep;
using reports::PointStatus;
using tests::FakeEngine;
using tests::ScratchFolder;
namespace files = std::filesystem;

namespace {

Sweep sweep_of(const std::vector<std::string>& seeds) {
  Sweep sweep;
  sweep.command = tests::fake_command();
  sweep.request = {.base = {{"batch", "8"}},
                   .axes = {{"strategy", {"full", "sbp"}}, {"seed", seeds}},
                   .exclude = {}};
  sweep.plan = make_plan(sweep.command, sweep.request);
  sweep.needs.assign(sweep.plan.points.size(), PointNeeds{.batch = 8, .memory_bytes = 100});
  sweep.program = "sbp-train";
  sweep.header = tests::sample_training().header;
  sweep.header.warnings.clear();
  return sweep;
}

struct Told {
  std::vector<std::string> finished;
  std::vector<std::string> told;
  bool says(const std::string& part) const {
    for (const std::string& line : told) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }
};

SweepResult run(const Sweep& sweep, const std::string& path, FakeEngine& engine, Told& told,
                std::int64_t memory = 1000) {
  SweepFolder folder(path);
  folder.open();
  const SweepHooks hooks{
      .available_memory = [memory] { return memory; },
      .interrupted = [] { return false; },
      .progress = [](std::int64_t, std::int64_t, const std::string&) {},
      .finished = [&told](const std::string& line) { told.finished.push_back(line); },
      .told = [&told](const std::string& line) { told.told.push_back(line); }};
  return run_sweep(sweep, folder, engine, hooks);
}

std::vector<PointStatus> statuses(const SweepResult& result) {
  std::vector<PointStatus> all;
  for (const auto& point : result.report.points) all.push_back(point.status);
  return all;
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string point_file(const Sweep& sweep, std::size_t index) {
  return "points/" + sweep.plan.points[index].id + ".json";
}

constexpr PointStatus kFinished = PointStatus::finished;

}  // namespace

TEST_CASE("sweep: every point finishes once, and a second run has nothing to do") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1", "2"});
  FakeEngine engine;
  Told told;
  const SweepResult result = run(sweep, scratch.path("s"), engine, told);
  CHECK_FALSE(result.interrupted);
  CHECK(statuses(result) == std::vector<PointStatus>(4, kFinished));
  CHECK(result.report.points[0].figures.train_loss == 1.0);
  CHECK(result.report.points[0].figures.top1 == 0.5);
  CHECK(result.report.points[0].seconds == 1.5);
  CHECK(result.report.points[0].estimated_bytes == 100);
  CHECK(told.finished.size() == 4);
  CHECK(told.told.empty());
  CHECK(files::is_empty(scratch.path("s/running")));
  const auto written = std::get<reports::SweepReport>(
      reports::parse_report(read(scratch.path("s/sweep.json")), "sweep.json"));
  CHECK(written == result.report);

  FakeEngine again;
  const SweepResult second = run(sweep, scratch.path("s"), again, told);
  CHECK(again.order.empty());
  CHECK(second.report == result.report);  // times too
}

TEST_CASE("sweep: what failed is recorded, the rest goes on, and is run again when asked") {
  const ScratchFolder scratch;
  Sweep sweep = sweep_of({"1", "2"});
  FakeEngine engine;
  engine.ending = [&](const Task& task) -> Ended {
    if (task.id == sweep.plan.points[0].id) {
      return {.id = task.id, .exit_code = 1, .last_words = "sbp-train: training diverged\n"};
    }
    if (task.id == sweep.plan.points[1].id) {
      return {.id = task.id, .exit_code = std::nullopt, .signal = 9, .last_words = ""};
    }
    if (task.id == sweep.plan.points[2].id) {
      return {.id = task.id, .exit_code = 1, .last_words = "sbp-train: out of memory; use less\n"};
    }
    return tests::finish(task);
  };
  Told told;
  const SweepResult result = run(sweep, scratch.path("s"), engine, told);
  CHECK(statuses(result) == std::vector{PointStatus::failed, PointStatus::killed,
                                        PointStatus::out_of_memory, kFinished});
  CHECK(result.report.points[0].reason == "training diverged");
  CHECK(told.says("failed, 1 of 4: strategy=full, seed=1: training diverged"));
  CHECK(std::distance(files::directory_iterator(scratch.path("s/points")), {}) == 1);
  CHECK(std::distance(files::directory_iterator(scratch.path("s/failures")), {}) == 3);

  FakeEngine later;
  const SweepResult same = run(sweep, scratch.path("s"), later, told);
  CHECK(later.order.empty());
  CHECK(same.report == result.report);

  sweep.retry_failed = true;
  const SweepResult retried = run(sweep, scratch.path("s"), later, told);
  CHECK(later.order.size() == 3);
  CHECK(statuses(retried) == std::vector<PointStatus>(4, kFinished));
  CHECK(files::is_empty(scratch.path("s/failures")));
}

TEST_CASE("sweep: a point that memory never holds is recorded without running") {
  const ScratchFolder scratch;
  Sweep sweep = sweep_of({"1"});
  sweep.needs[1].memory_bytes = 5000;
  FakeEngine engine;
  Told told;
  const SweepResult result = run(sweep, scratch.path("s"), engine, told);
  CHECK(engine.order == std::vector<std::string>{sweep.plan.points[0].id});
  CHECK(result.report.points[1].status == PointStatus::out_of_memory);
  CHECK(result.report.points[1].reason ==
        "not run: it needs about 4.9 KiB and the machine has 1000 B available");
}

TEST_CASE("sweep: a process that ends well without a whole report of its point has failed") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1"});
  FakeEngine engine;
  engine.ending = [&](const Task& task) {
    Ended end = tests::finish(task);
    if (task.id == sweep.plan.points[0].id) {
      const std::string path = task.command.back();
      files::resize_file(path, files::file_size(path) / 2);
    } else {
      std::ofstream(task.command.back()) << tests::fake_report({"--seed", "9"});
    }
    return end;
  };
  Told told;
  const SweepResult result = run(sweep, scratch.path("s"), engine, told);
  CHECK(statuses(result) == std::vector(2, PointStatus::failed));
  CHECK(result.report.points[0].reason.find("ended without its report: ") == 0);
  CHECK(result.report.points[1].reason.find("other options than this point has") !=
        std::string::npos);
  CHECK(files::is_empty(scratch.path("s/points")));
}

TEST_CASE("sweep: damaged points are moved aside and run again, strangers are left alone") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1", "2"});
  FakeEngine engine;
  Told told;
  const SweepResult whole = run(sweep, scratch.path("s"), engine, told);
  const std::string first = scratch.path("s/" + point_file(sweep, 0));
  files::resize_file(first, 100);
  // A report of another point under this one's name.
  files::copy_file(scratch.path("s/" + point_file(sweep, 2)),
                   scratch.path("s/" + point_file(sweep, 1)),
                   files::copy_options::overwrite_existing);
  scratch.write("s/points/notes.txt", "mine");
  scratch.write("s/points/0123456789abcdef.json", "{}");

  FakeEngine again;
  const SweepResult result = run(sweep, scratch.path("s"), again, told);
  CHECK(again.order == std::vector<std::string>{sweep.plan.points[0].id, sweep.plan.points[1].id});
  CHECK(statuses(result) == std::vector<PointStatus>(4, kFinished));
  CHECK(told.says("is no report of its point (cannot read report"));
  CHECK(told.says("other options than this point has"));
  CHECK(
      told.says("2 files of no point of this plan, left alone: 0123456789abcdef.json, notes.txt"));
  CHECK(result.report.header.warnings.size() == 1 + whole.report.header.warnings.size() + 2);
  CHECK(std::distance(files::directory_iterator(scratch.path("s/aside")), {}) == 2);
  CHECK(read(scratch.path("s/points/notes.txt")) == "mine");
}

TEST_CASE("sweep: a changed plan and another version are noticed, and points that stay are kept") {
  const ScratchFolder scratch;
  FakeEngine engine;
  Told told;
  run(sweep_of({"1", "2"}), scratch.path("s"), engine, told);
  Sweep larger = sweep_of({"1", "3"});
  larger.header.environment.sbp_version = "0.2.0";
  FakeEngine again;
  const SweepResult result = run(larger, scratch.path("s"), again, told);
  CHECK(again.order.size() == 2);
  CHECK(told.says("axis seed was '1|2', is '1|3'; 2 of its 4 points are not in it now"));
  CHECK(told.says("points/ holds 2 files of no point of this plan"));
  CHECK(
      told.says("2 of 2 finished points were made by version '0.1.0 (0123456789ab), LibTorch "
                "2.14.1'; this is '0.2.0 (0123456789ab), LibTorch 2.14.1'"));
}

TEST_CASE("sweep: a change of the plan is told by what changed") {
  reports::SweepPlanRecord before;
  before.command = "train";
  before.base = {{"batch", "8"}, {"flip", "true"}};
  before.axes = {{"seed", {"1", "2"}}};
  before.points = {"a", "b"};
  CHECK(plan_change(before, before) == "");
  reports::SweepPlanRecord now = before;
  now.base = {{"batch", "16"}, {"data", "x"}};
  now.equal_peak = true;
  now.points = {"b", "c"};
  CHECK(plan_change(before, now) ==
        "the plan is not the one that this folder was last used with: batch was '8', is '16'; data "
        "was not given, is 'x'; flip was 'true', is not given; peaks are made equal now; 1 of its "
        "2 points are not in it now");
}

TEST_CASE("sweep: a second one is refused, also after the first wrote nothing") {
  const ScratchFolder scratch;
  SweepFolder first(scratch.path("s"));
  first.open();
  SweepFolder second(scratch.path("s"));
  const std::string said = tests::error_text([&] { second.check_free(); });
  CHECK(said.find("another sweep runs in '") == 0);
  CHECK(said.find("(process ") != std::string::npos);
  CHECK(tests::error_text([&] { second.open(); }) == said);
  { const SweepFolder gone = std::move(first); }
  CHECK(tests::error_text([&] { second.check_free(); }) == "");
  second.open();
}

TEST_CASE("sweep: a line that a kill cut short is no time of a point") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1"});
  FakeEngine engine;
  Told told;
  run(sweep, scratch.path("s"), engine, told);
  std::ofstream(scratch.path("s/seconds.txt"), std::ios::app) << sweep.plan.points[0].id << " 1e";
  const SweepResult again = run(sweep, scratch.path("s"), engine, told);
  CHECK(again.report.points[0].seconds == 1.5);
  files::remove(scratch.path("s/seconds.txt"));
  const SweepResult without = run(sweep, scratch.path("s"), engine, told);
  CHECK_FALSE(without.report.points[0].seconds.has_value());
  CHECK(reports::to_json(without.report).find("\"seconds_reason\": \"not recorded\"") !=
        std::string::npos);
}

TEST_CASE("sweep: a point whose time cannot be written is finished all the same") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1", "2"});
  files::create_directories(scratch.path("s/seconds.txt"));
  FakeEngine engine;
  Told told;
  const SweepResult result = run(sweep, scratch.path("s"), engine, told);
  CHECK(statuses(result) == std::vector<PointStatus>(4, kFinished));
  FakeEngine again;
  const SweepResult second = run(sweep, scratch.path("s"), again, told);
  CHECK(again.order.empty());
  CHECK_FALSE(second.report.points[0].seconds.has_value());
}

TEST_CASE("sweep: a folder that cannot be written ends it, and what finished stays") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1", "2"});
  FakeEngine engine;
  engine.ending = [&](const Task& task) -> Ended {
    if (task.id == sweep.plan.points[0].id) return tests::finish(task);
    return {.id = task.id,
            .exit_code = 1,
            .last_words =
                "sbp-train: cannot write '" + task.command.back() + "': No space left on device\n"};
  };
  Told told;
  const std::string said = tests::error_text([&] { run(sweep, scratch.path("s"), engine, told); });
  CHECK(said.find("cannot write '") == 0);
  CHECK(said.find("No space left on device; 1 of 4 points are finished and stay") !=
        std::string::npos);
  CHECK(engine.stopped);
  CHECK(files::is_empty(scratch.path("s/failures")));
  FakeEngine again;
  CHECK(statuses(run(sweep, scratch.path("s"), again, told)) ==
        std::vector<PointStatus>(4, kFinished));
  CHECK(again.order.size() == 3);
}

TEST_CASE("sweep: the plan as text counts what is left") {
  const ScratchFolder scratch;
  const Sweep sweep = sweep_of({"1", "2"});
  FolderContent content;
  content.finished[sweep.plan.points[0].id] = {};
  content.failures[sweep.plan.points[1].id].status = PointStatus::killed;
  const std::string text = plan_text(sweep, content, {2.0, 2.0, 2.0, 3.0});
  CHECK(text.find("4 points: 1 finished, 1 not finished (--retry-failed runs them again), 2 to "
                  "run, about 5.00 s\n") != std::string::npos);
  CHECK(plan_text(sweep, content, {}).find("2 to run\n") != std::string::npos);
  CHECK(plan_text(sweep, content, {2.0, 2.0, std::nullopt, 3.0}).find("2 to run\n") !=
        std::string::npos);
}
