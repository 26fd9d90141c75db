#include <doctest/doctest.h>

#include <csignal>

#include "experiments/sweep/outcome.h"

using namespace sbp;
using namespace sbp::sweep;
using reports::PointStatus;

namespace {

Outcome of_exit(int code, const std::string& last_words) {
  return outcome_of({.id = "a", .exit_code = code, .last_words = last_words}, "d/running/a");
}

Outcome of_signal(int signal, std::int64_t peak = 0, const std::string& last_words = "") {
  return outcome_of({.id = "a",
                     .exit_code = std::nullopt,
                     .signal = signal,
                     .peak_resident_bytes = peak,
                     .last_words = last_words},
                    "d/running/a");
}

}  // namespace

TEST_CASE("sweep: how a process ended says what became of its point") {
  CHECK(of_exit(0, "").status == PointStatus::finished);
  const Outcome diverged = of_exit(1, "note\nsbp-train: training diverged in step 3: nan\n");
  CHECK(diverged.status == PointStatus::failed);
  CHECK(diverged.reason == "training diverged in step 3: nan");
  CHECK(of_exit(2, "").reason == "ended with exit code 2");
  CHECK(of_exit(2, "sbp-train: out of memory").status == PointStatus::failed);
  CHECK(of_exit(130, "").status == PointStatus::killed);
}

TEST_CASE("sweep: sentences about memory are told from others") {
  for (const char* said :
       {"sbp-train: out of memory; use a smaller batch, model or data set\n",
        "sbp-train: a training step of 'vit' at batch '9' needs about 2.0 GiB and the machine has "
        "1.0 GiB available; use a smaller batch\n",
        "sbp-train: training 'vit': [enforce fail] DefaultCPUAllocator: not enough memory: you "
        "tried to allocate 9 bytes\n",
        "terminate called: std::bad_alloc\n"}) {
    CHECK(of_exit(1, said).status == PointStatus::out_of_memory);
  }
  CHECK(of_exit(1, "sbp-train: cannot read 'x'\n").status == PointStatus::failed);
}

TEST_CASE("sweep: a signal that the sweep did not send") {
  const Outcome killed = of_signal(SIGKILL, 3 << 20);
  CHECK(killed.status == PointStatus::killed);
  CHECK(killed.reason ==
        "ended by signal 9 (Killed), which this sweep did not send; the system may have run out of "
        "memory; it held 3.0 MiB at most");
  CHECK(of_signal(SIGTERM).status == PointStatus::killed);
  CHECK(of_signal(SIGTERM).reason.find("memory") == std::string::npos);
  const Outcome crashed = of_signal(SIGSEGV, 0, "what it said\n");
  CHECK(crashed.status == PointStatus::failed);
  CHECK(crashed.reason == "crashed with signal 11 (Segmentation fault): what it said");
}

TEST_CASE("sweep: a disk that takes no report is no fault of the point") {
  CHECK(
      of_exit(1, "sbp-train: cannot write 'd/running/a': No space left on device\n").disk_is_full);
  CHECK_FALSE(
      of_exit(1, "sbp-train: cannot write 'log/x': No space left on device\n").disk_is_full);
}
