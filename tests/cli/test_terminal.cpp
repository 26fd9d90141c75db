#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "cli/terminal.h"

using namespace sbp::cli;

TEST_CASE("the progress line says how much is done and guesses what is left") {
  CHECK(progress_text({.done = 30, .total = 120, .what = "epoch 1", .seconds = 15.0}, 80) ==
        "epoch 1  30 of 120  25 %  45.00 s left");
  CHECK(progress_text({.done = 0, .total = 5, .what = "warm-up", .seconds = 1.0}, 80) ==
        "warm-up  0 of 5  0 %");
  CHECK(progress_text({.done = 5, .total = 5, .what = "x", .seconds = 1.0}, 80) ==
        "x  5 of 5  100 %");
  CHECK(progress_text({.done = 0, .total = 0, .what = "reading", .seconds = 1.0}, 80) == "reading");
}

TEST_CASE("the progress line never wraps and holds no control codes") {
  CHECK(progress_text({.done = 1, .total = 2, .what = "a long name", .seconds = 1.0}, 8) ==
        "a long ");
  CHECK(progress_text({.done = 0, .total = 0, .what = "größe", .seconds = 0.0}, 4) == "grö");
  CHECK(progress_text({.done = 0, .total = 0, .what = "a\n\x1b[2J", .seconds = 0.0}, 80) ==
        "a??[2J");
  CHECK(progress_text({.done = 0, .total = 0, .what = "a", .seconds = 0.0}, 0) == "");
}

TEST_CASE("on a terminal the line is redrawn in place, ten times a second at most") {
  std::string screen;
  {
    ProgressLine line(true, 80, [&](std::string_view text) { screen += text; });
    line.step(0, 2, "a", 0.0);
    line.step(1, 2, "b", 0.05);
    CHECK(screen == "\r\x1b[Ka  0 of 2  0 %");
    line.step(1, 2, "b", 0.2);
    CHECK(screen == "\r\x1b[Ka  0 of 2  0 %\r\x1b[Kb  1 of 2  50 %  200.0 ms left");
    screen.clear();
    line.note("epoch 1");
    CHECK(screen == "\r\x1b[Kepoch 1\n");
    line.step(2, 2, "c", 0.21);
    screen.clear();
  }
  CHECK(screen == "\r\x1b[K");  // nothing of it stays
}

TEST_CASE("off a terminal there is no progress, and notes are plain lines") {
  std::string screen;
  {
    ProgressLine line(false, 80, [&](std::string_view text) { screen += text; });
    line.step(1, 2, "a", 1.0);
    line.note("epoch 1");
    line.step(2, 2, "a", 2.0);
  }
  CHECK(screen == "epoch 1\n");
}

TEST_CASE("a pipe is no terminal and gets no colour") {
  int ends[2] = {-1, -1};
  REQUIRE(::pipe(ends) == 0);
  CHECK_FALSE(is_terminal(ends[1]));
  CHECK_FALSE(wants_color(ends[1]));
  CHECK(terminal_width(ends[1]) == 80);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("the first interrupt sets a flag; a later guard starts without it") {
  {
    const InterruptGuard guard(true);
    CHECK_FALSE(InterruptGuard::requested());
    std::raise(SIGINT);
    CHECK(InterruptGuard::requested());
  }
  const InterruptGuard again(true);
  CHECK_FALSE(InterruptGuard::requested());
}
