#include <doctest/doctest.h>

#include "experiments/sweep/scheduler.h"
#include "sbp/base/error.h"
#include "tests/experiments/sweep/fakes.h"

using namespace sbp;
using namespace sbp::sweep;
using tests::FakeEngine;

namespace {

struct Told {
  std::vector<std::string> ended;
  std::vector<std::string> too_large;
};

ScheduleHooks hooks_for(Told& told, std::optional<std::int64_t> memory) {
  return {
      .available_memory = [memory] { return memory; },
      .interrupted = [] { return false; },
      .ended = [&told](const Ended& end) { told.ended.push_back(end.id); },
      .too_large = [&told](const Task& task, std::int64_t) { told.too_large.push_back(task.id); },
      .tick = [] {}};
}

Task task(const std::string& id, std::optional<std::int64_t> bytes) {
  return {.id = id, .command = {"program"}, .memory_bytes = bytes};
}

Ended end_of(const Task& done) {
  return {.id = done.id, .exit_code = 0, .last_words = ""};
}

// What it stops had just ended by itself.
class EndingEngine : public FakeEngine {
 public:
  std::vector<Ended> stop() override {
    std::vector<Ended> all = FakeEngine::stop();
    for (Ended& end : all) end.exit_code = 0;
    return all;
  }
};

}  // namespace

TEST_CASE("sweep: so many at a time, in order") {
  FakeEngine engine;
  engine.ending = end_of;
  Told told;
  std::vector<Task> tasks;
  for (int i = 0; i < 7; ++i) tasks.push_back(task(std::to_string(i), std::nullopt));
  CHECK(run_tasks(tasks, 3, engine, hooks_for(told, std::nullopt)));
  CHECK(engine.most_running == 3);
  CHECK(engine.order == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6"});
  CHECK(told.ended == engine.order);
  CHECK(run_tasks({}, 3, engine, hooks_for(told, std::nullopt)));
}

TEST_CASE("sweep: memory is never exceeded, and the first that fits is next") {
  FakeEngine engine;
  engine.ending = end_of;
  Told told;
  CHECK(run_tasks({task("a", 60), task("b", 50), task("c", 40), task("d", 101), task("e", 10)}, 4,
                  engine, hooks_for(told, 100)));
  CHECK(engine.order == std::vector<std::string>{"a", "c", "b", "e"});
  CHECK(engine.most_memory == 100);
  CHECK(told.too_large == std::vector<std::string>{"d"});
  CHECK(told.ended.size() == 4);
}

TEST_CASE("sweep: memory is never exceeded, whatever points need") {
  for (std::uint32_t round = 0; round < 50; ++round) {
    FakeEngine engine;
    engine.ending = end_of;
    Told told;
    std::vector<Task> tasks;
    for (std::uint32_t i = 0; i < 40; ++i) {
      tasks.push_back(task(std::to_string(i), 1 + (round * 7919 + i * 104729) % 120));
    }
    CHECK(run_tasks(tasks, 1 + round % 8, engine, hooks_for(told, 100)));
    CHECK(engine.most_memory <= 100);
    CHECK(told.ended.size() + told.too_large.size() == tasks.size());
    for (const std::string& id : told.too_large) {
      CHECK(*tasks[std::stoul(id)].memory_bytes > 100);
    }
  }
}

TEST_CASE("sweep: points that take more than was estimated make room for themselves") {
  FakeEngine engine;
  engine.ending = [](const Task& done) {
    Ended end = end_of(done);
    end.peak_resident_bytes = done.id == "0" ? 80 : 10;
    return end;
  };
  Told told;
  std::vector<Task> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(task(std::to_string(i), 40));
  std::vector<std::int64_t> running;
  engine.started = [&](const Task&) { running.push_back(engine.running()); };
  CHECK(run_tasks(tasks, 8, engine, hooks_for(told, 100)));
  // Two at a time, until the first one took twice its estimate: then one at a time, which always
  // may.
  CHECK(running == std::vector<std::int64_t>{0, 1, 0, 0, 0, 0});
  CHECK(told.too_large.empty());
}

TEST_CASE("sweep: an interruption stops what runs and starts nothing more") {
  FakeEngine engine;
  engine.ending = end_of;
  Told told;
  ScheduleHooks hooks = hooks_for(told, std::nullopt);
  hooks.interrupted = [&] { return !told.ended.empty(); };
  CHECK_FALSE(
      run_tasks({task("a", 1), task("b", 1), task("c", 1), task("d", 1)}, 2, engine, hooks));
  CHECK(engine.stopped);
  CHECK(told.ended == std::vector<std::string>{"a"});
  CHECK(engine.order == std::vector<std::string>{"a", "b"});
}

TEST_CASE("sweep: whatever is thrown stops what runs") {
  FakeEngine engine;
  engine.ending = end_of;
  Told told;
  ScheduleHooks hooks = hooks_for(told, std::nullopt);
  hooks.ended = [](const Ended&) { throw Error("the disk is full"); };
  CHECK_THROWS_WITH_AS(run_tasks({task("a", 1), task("b", 1)}, 2, engine, hooks),
                       "the disk is full", Error);
  CHECK(engine.stopped);
  CHECK(engine.running() == 0);
}

TEST_CASE("sweep: what has ended beside the one that failed to be kept is kept") {
  EndingEngine engine;
  engine.ending = end_of;
  Told told;
  ScheduleHooks hooks = hooks_for(told, std::nullopt);
  hooks.ended = [&](const Ended& end) {
    if (end.id == "a") throw Error("the disk is full");
    told.ended.push_back(end.id);
  };
  CHECK_THROWS_AS(run_tasks({task("a", 1), task("b", 1), task("c", 1)}, 2, engine, hooks), Error);
  CHECK(told.ended == std::vector<std::string>{"b"});
}
