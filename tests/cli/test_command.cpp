#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <new>
#include <stdexcept>

#include "cli/command.h"

using namespace sbp;

namespace {

struct Outcome {
  int status = 0;
  std::string said;  // on standard error
};

// Runs a command whose body is `body`, with standard error caught in a pipe.
Outcome run(const std::function<ExitCode(const std::vector<std::string>&)>& body) {
  int ends[2] = {-1, -1};
  REQUIRE(::pipe(ends) == 0);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[1]);
  char name[] = "sbp-x";
  char word[] = "word";
  char* argv[] = {name, word, nullptr};
  Outcome outcome;
  outcome.status = cli::run_command("sbp-x", 2, argv, body);
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  char buffer[4096];
  const ssize_t size = ::read(ends[0], buffer, sizeof buffer);
  outcome.said.assign(buffer, static_cast<std::size_t>(size > 0 ? size : 0));
  ::close(ends[0]);
  return outcome;
}

}  // namespace

TEST_CASE("the body gets the words after the name, and its code is the status") {
  const Outcome outcome = run([](const std::vector<std::string>& arguments) {
    CHECK(arguments == std::vector<std::string>{"word"});
    return ExitCode::interrupted;
  });
  CHECK(outcome.status == 130);
  CHECK(outcome.said.empty());
}

TEST_CASE("an error is one line and its own code") {
  const Outcome usage = run([](const auto&) -> ExitCode { throw UsageError("batch is '0'"); });
  CHECK(usage.status == 2);
  CHECK(usage.said == "sbp-x: batch is '0'\n");
  const Outcome failed = run([](const auto&) -> ExitCode { throw Error("a\nb\x1b[2J\n"); });
  CHECK(failed.status == 1);
  CHECK(failed.said == "sbp-x: a b [2J\n");
}

TEST_CASE("exceptions of others are one line and code 1") {
  const Outcome other = run([](const auto&) -> ExitCode { throw std::runtime_error("odd"); });
  CHECK(other.status == 1);
  CHECK(other.said == "sbp-x: odd\n");
  const Outcome memory = run([](const auto&) -> ExitCode { throw std::bad_alloc(); });
  CHECK(memory.status == 1);
  CHECK(memory.said == "sbp-x: out of memory; use a smaller batch, model or data set\n");
}
