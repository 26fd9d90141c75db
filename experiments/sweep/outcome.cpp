#include "experiments/sweep/outcome.h"

#include <array>
#include <csignal>
#include <cstring>

#include "reports/format.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

using reports::PointStatus;

constexpr int kInterrupted = static_cast<int>(ExitCode::interrupted);

// Parts of sentences of programs, LibTorch and the C++ library that speak of memory.
constexpr std::array<std::string_view, 5> kOutOfMemoryWords = {
    "out of memory", "not enough memory", "bad_alloc", "Cannot allocate memory",
    "and the machine has "};

// The last line that is not empty, without "sbp-train: ".
std::string last_sentence(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const std::size_t line = text.rfind('\n');
  if (line != std::string_view::npos) text.remove_prefix(line + 1);
  const std::size_t colon = text.find(": ");
  if (text.starts_with("sbp-") && colon != std::string_view::npos) text.remove_prefix(colon + 2);
  return reports::printable(text);
}

// Signals that a program gets for a fault of its own.
bool is_crash(int signal) {
  for (const int fault : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP}) {
    if (signal == fault) return true;
  }
  return false;
}

Outcome outcome_of_signal(const Ended& end) {
  const std::string named = concat("signal ", end.signal, " (", ::strsignal(end.signal), ")");
  if (is_crash(end.signal)) {
    const std::string said = last_sentence(end.last_words);
    return {.status = PointStatus::failed,
            .reason = concat("crashed with ", named, said.empty() ? "" : ": " + said)};
  }
  std::string reason = concat("ended by ", named, ", which this sweep did not send");
  if (end.signal == SIGKILL) reason += "; the system may have run out of memory";
  if (end.peak_resident_bytes > 0) {
    reason += concat("; it held ", reports::bytes_text(end.peak_resident_bytes), " at most");
  }
  return {.status = PointStatus::killed, .reason = std::move(reason)};
}

bool speaks_of_memory(std::string_view sentence) {
  for (const std::string_view words : kOutOfMemoryWords) {
    if (sentence.find(words) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Outcome outcome_of(const Ended& end, const std::string& report) {
  if (!end.exit_code) return outcome_of_signal(end);
  if (*end.exit_code == 0) return {};
  std::string sentence = last_sentence(end.last_words);
  if (*end.exit_code == kInterrupted) {
    return {.status = PointStatus::killed,
            .reason = "interrupted, which this sweep did not ask for"};
  }
  if (sentence.starts_with("cannot write '" + report + "'")) {
    return {.status = PointStatus::failed, .reason = std::move(sentence), .disk_is_full = true};
  }
  if (*end.exit_code == 1 && speaks_of_memory(sentence)) {
    return {.status = PointStatus::out_of_memory, .reason = std::move(sentence)};
  }
  if (sentence.empty()) sentence = concat("ended with exit code ", *end.exit_code);
  return {.status = PointStatus::failed, .reason = std::move(sentence)};
}

}  // namespace sbp::sweep
