// What a command does on a terminal: colour, a progress line, Ctrl-C.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace sbp::cli {

// Whether `descriptor` is a terminal that understands control codes (TERM is not "dumb").
bool is_terminal(int descriptor);
// As is_terminal, and NO_COLOR is unset or empty.
bool wants_color(int descriptor);
// Columns; 80 when it cannot be found out.
std::size_t terminal_width(int descriptor);

// The text of a progress line: "what  37 of 120  31 %  12 s left", cut to `width`. `seconds` are
// those since the start; no time is guessed before some work is done.
struct ProgressState {
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string what;
  double seconds = 0.0;
};
std::string progress_text(const ProgressState& state, std::size_t width);

// One line on standard error that is rewritten as work goes on; silent where `live` is false.
class ProgressLine {
 public:
  using Write = std::function<void(std::string_view)>;

  // `write` takes what goes to the terminal.
  ProgressLine(bool live, std::size_t width, Write write);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Redrawn ten times a second at most; `seconds` since the start, never going back.
  void step(std::int64_t done, std::int64_t total, const std::string& what, double seconds);
  // A line of its own that stays, above the progress line; written even where `live` is false.
  void note(std::string_view line);
  void clear();

 private:
  bool live_;
  std::size_t width_;
  Write write_;
  bool drawn_ = false;
  double drawn_at_ = -1.0;
};

// Writes to standard error; what does not fit is lost, there is nobody to tell.
void write_stderr(std::string_view text);

// While such an object lives, the first Ctrl-C (or SIGTERM) only sets a flag and says so on a
// terminal; the second ends the program. One at a time: signal handlers belong to the process.
class InterruptGuard {
 public:
  static constexpr const char* kFinishingStep =
      "finishing the step in hand; Ctrl-C again to stop at once";
  // `notice`: what the first one says; must outlive the object.
  explicit InterruptGuard(bool quiet, const char* notice = kFinishingStep);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool requested() noexcept;
};

}  // namespace sbp::cli
