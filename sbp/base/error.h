// The one exception type of the project, and helpers that write its sentences.
#pragma once

#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sbp {

// Process exit codes promised to scripts.
enum class ExitCode : int { ok = 0, failed = 1, usage = 2, interrupted = 130 };

// What a user reads when something cannot be done: one sentence that says what was being done,
// the offending value in quotes, and what would be right. Caught once per command.
class Error : public std::runtime_error {
 public:
  // A null byte in `sentence`, which may quote any file, becomes "\0": what() would end there.
  explicit Error(const std::string& sentence, ExitCode code = ExitCode::failed);

  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// An Error about what the user typed (exit code 2).
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& sentence) : Error(sentence, ExitCode::usage) {}
};

// Joins the printed forms of its arguments; for messages, not for hot paths.
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

// "a, b, c".
std::string join(std::span<const std::string> words, std::string_view separator = ", ");

// The one candidate that begins with `word`, else the one with the smallest edit distance to it;
// empty when none is near enough to be what was meant (more than half of the letters differ).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// "unknown WHAT 'WORD'; did you mean 'NEAREST'? Known: a, b, c", or without a guess
// "unknown WHAT 'WORD'; known: a, b, c".
std::string unknown_word(std::string_view what, std::string_view word,
                         std::span<const std::string> candidates);

}  // namespace sbp
