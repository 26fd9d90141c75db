#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "reports/format.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

constexpr double kSecondsBetweenDraws = 0.1;
constexpr std::string_view kEraseLine = "\r\x1b[K";

// What the signal handler may touch; process-wide because a handler has no other state.
std::atomic<bool> interrupt_requested{false};
std::atomic<const char*> notice_of_interrupt{nullptr};  // null: nothing is told
static_assert(std::atomic<bool>::is_always_lock_free);
static_assert(std::atomic<const char*>::is_always_lock_free);

extern "C" void note_interrupt(int) {
  interrupt_requested.store(true);
  const char* const notice = notice_of_interrupt.load();
  if (notice == nullptr) return;
  const int saved_errno = errno;
  // Nothing to do about a failed write here.
  for (const char* part : {"\n", notice, "\n"}) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, part, std::strlen(part));
  }
  errno = saved_errno;
}

// Ctrl-C, and what a batch system sends before it kills.
constexpr std::array kSignals = {SIGINT, SIGTERM};

// Started in the background of a script: the signal is meant for somebody else.
bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// `text` cut to `width` characters.
std::string cut(const std::string& text, std::size_t width) {
  if (reports::shown_width(text) <= width) return text;
  std::string shown;
  for (const char byte : text) {
    const bool starts_character = (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
    if (starts_character && reports::shown_width(shown) == width) break;
    shown += byte;
  }
  return shown;
}

}  // namespace

bool is_terminal(int descriptor) {
  return ::isatty(descriptor) == 1 && std::string_view(environment("TERM")) != "dumb";
}

bool wants_color(int descriptor) {
  return is_terminal(descriptor) && std::string_view(environment("NO_COLOR")).empty();
}

std::size_t terminal_width(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string progress_text(const ProgressState& state, std::size_t width) {
  std::string text = reports::printable(state.what);
  if (state.total > 0) {
    text +=
        concat("  ", state.done, " of ", state.total, "  ", 100 * state.done / state.total, " %");
  }
  if (state.done > 0 && state.total > state.done) {
    const double left = state.seconds / static_cast<double>(state.done) *
                        static_cast<double>(state.total - state.done);
    text += concat("  ", reports::seconds_text(left), " left");
  }
  // The last column stays free: some terminals wrap when it is written.
  return cut(text, width > 0 ? width - 1 : 0);
}

ProgressLine::ProgressLine(bool live, std::size_t width, Write write)
    : live_(live), width_(width), write_(std::move(write)) {}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::step(std::int64_t done, std::int64_t total, const std::string& what,
                        double seconds) {
  if (!live_) return;
  if (drawn_ && seconds - drawn_at_ < kSecondsBetweenDraws) return;
  const ProgressState state{.done = done, .total = total, .what = what, .seconds = seconds};
  write_(std::string(kEraseLine) + progress_text(state, width_));
  drawn_ = true;
  drawn_at_ = seconds;
}

void ProgressLine::note(std::string_view line) {
  clear();
  write_(reports::printable(line) + "\n");
}

void ProgressLine::clear() {
  if (!drawn_) return;
  write_(kEraseLine);
  drawn_ = false;
}

void write_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

InterruptGuard::InterruptGuard(bool quiet, const char* notice) {
  interrupt_requested.store(false);
  notice_of_interrupt.store(!quiet && is_terminal(STDERR_FILENO) ? notice : nullptr);
  for (const int signal : kSignals) {
    if (is_ignored(signal)) continue;
    struct sigaction action {};
    action.sa_handler = note_interrupt;
    sigemptyset(&action.sa_mask);
    // One use: the second Ctrl-C meets the default action. Restart: reads and writes go on.
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(signal, &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (const int signal : kSignals) {
    if (!is_ignored(signal)) std::signal(signal, SIG_DFL);
  }
}

bool InterruptGuard::requested() noexcept {
  return interrupt_requested.load();
}

}  // namespace sbp::cli
