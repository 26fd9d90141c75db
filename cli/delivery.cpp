#include "cli/delivery.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "reports/format.h"

namespace sbp::cli {

Delivery::Delivery(std::string program, const OutputOptions& options)
    : program_(std::move(program)), options_(options) {
  if (!options_.path.empty() && options_.path != "-") {
    file_.emplace(options_.path, options_.force);
  }
}

void Delivery::deliver(const std::string& json, const std::string& text,
                       const std::vector<std::string>& warnings) const {
  if (file_) file_->write(json);
  if (options_.json_on_stdout()) {
    write_stdout(json);
  } else if (options_.text_on_stdout()) {
    write_stdout(text);
  }
  if (options_.quiet || options_.text_on_stdout()) return;
  for (const std::string& warning : warnings) {
    write_stderr(program_ + ": warning: " + reports::printable(warning) + "\n");
  }
}

RunWatch::RunWatch(bool quiet)
    : quiet_(quiet),
      line_(!quiet && is_terminal(STDERR_FILENO), terminal_width(STDERR_FILENO), write_stderr),
      interrupt_(quiet) {}

experiments::Progress RunWatch::progress() {
  const auto start = std::chrono::steady_clock::now();
  experiments::Progress progress;
  progress.step = [this, start](std::int64_t done, std::int64_t total, const std::string& what) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    line_.step(done, total, what, elapsed.count());
  };
  progress.line = [this](const std::string& text) {
    if (!quiet_) line_.note(text);
  };
  progress.interrupted = [] { return InterruptGuard::requested(); };
  return progress;
}

}  // namespace sbp::cli
