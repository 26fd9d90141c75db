#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <iterator>
#include <sstream>

#include "experiments/sweep/local_engine.h"
#include "tests/experiments/scratch_folder.h"

using namespace sbp;
using namespace sbp::sweep;

namespace {

Task shell(const std::string& id, const std::string& script) {
  return {.id = id, .command = {"/bin/sh", "-c", script}, .memory_bytes = std::nullopt};
}

Ended only_end(LocalEngine& engine) {
  std::vector<Ended> all;
  while (engine.running() > 0) {
    for (Ended& end : engine.wait(std::chrono::seconds(10))) all.push_back(std::move(end));
  }
  REQUIRE(all.size() == 1);
  return all.front();
}

}  // namespace

TEST_CASE("sweep: a process ends with its exit code and last words") {
  LocalEngine engine;
  engine.start(shell("a", "echo unseen; echo first >&2; echo last >&2; exit 3"));
  CHECK(engine.running() == 1);
  const Ended end = only_end(engine);
  CHECK(end.id == "a");
  CHECK(end.exit_code == 3);
  CHECK(end.last_words == "first\nlast\n");
  CHECK(end.peak_resident_bytes > 0);
  CHECK(engine.wait(std::chrono::milliseconds(0)).empty());
}

TEST_CASE("sweep: of long last words the end is kept") {
  LocalEngine engine;
  engine.start(shell("a", "i=0; while [ $i -lt 1000 ]; do echo line $i >&2; i=$((i+1)); done"));
  const Ended end = only_end(engine);
  CHECK(end.last_words.size() == 4096);
  CHECK(end.last_words.ends_with("line 999\n"));
}

TEST_CASE("sweep: a signal is told from an exit code") {
  LocalEngine engine;
  engine.start(shell("a", "kill -9 $$"));
  const Ended end = only_end(engine);
  CHECK_FALSE(end.exit_code.has_value());
  CHECK(end.signal == SIGKILL);
}

TEST_CASE("sweep: a program that is not there is an error of the start") {
  LocalEngine engine;
  CHECK(tests::error_text([&] {
          engine.start({.id = "a", .command = {"/nowhere/sbp-train"}, .memory_bytes = {}});
        }) == "cannot run '/nowhere/sbp-train': No such file or directory");
  CHECK(engine.running() == 0);
}

TEST_CASE("sweep: stopping asks first, and ends those that do not listen") {
  LocalEngine engine(std::chrono::milliseconds(200));
  engine.start(shell("listens", "trap 'exit 130' INT; while :; do sleep 0.01; done"));
  engine.start(shell("deaf", "trap '' INT; while :; do sleep 0.01; done"));
  engine.wait(std::chrono::milliseconds(200));  // the traps are set
  for (const Ended& end : engine.stop()) {
    if (end.id == "listens") CHECK(end.exit_code == 130);
    if (end.id == "deaf") CHECK(end.signal == SIGKILL);
  }
  CHECK(engine.running() == 0);
}

TEST_CASE("sweep: an engine that goes takes its processes along") {
  const tests::ScratchFolder folder;
  {
    LocalEngine engine;
    engine.start(shell("a", "echo $$ > " + folder.path("pid") + "; exec sleep 60"));
    while (!std::filesystem::exists(folder.path("pid")) ||
           std::filesystem::file_size(folder.path("pid")) < 2) {
      ::usleep(1000);
    }
  }
  int pid = 0;
  std::ifstream(folder.path("pid")) >> pid;
  REQUIRE(pid > 0);
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("sweep: a process inherits no files but its streams, and is in a group of its own") {
  const tests::ScratchFolder folder;
  const int open_file = ::open(folder.write("f", "x").c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(open_file >= 0);
  LocalEngine engine;
  engine.start(shell("a", "readlink /proc/self/fd/* >&2; ps -o pgid= -p $$ >&2; echo $$ >&2"));
  const Ended end = only_end(engine);
  ::close(open_file);
  CHECK(end.last_words.find("/dev/null\n") == 0);
  CHECK(end.last_words.find(folder.path()) == std::string::npos);
  std::istringstream words(end.last_words);
  std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
  REQUIRE(all.size() > 2);
  CHECK(all[all.size() - 1] == all[all.size() - 2]);
}
