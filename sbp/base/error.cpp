#include "sbp/base/error.h"

#include <algorithm>
#include <utility>

namespace sbp {
namespace {

std::string without_null_bytes(std::string sentence) {
  for (std::size_t i = 0; (i = sentence.find('\0', i)) != std::string::npos; i += 2) {
    sentence.replace(i, 1, "\\0");
  }
  return sentence;
}

// Insertions, deletions, substitutions and swaps of neighbours, each counting one.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swap) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

Error::Error(const std::string& sentence, ExitCode code)
    : std::runtime_error(without_null_bytes(sentence)), code_(code) {}

std::string join(std::span<const std::string> words, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += separator;
    text += words[i];
  }
  return text;
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  // The beginning of just one of them is that one, however long the rest.
  const auto begins = [&](const std::string& candidate) { return candidate.starts_with(word); };
  if (word.size() >= 3 && std::ranges::count_if(candidates, begins) == 1) {
    return *std::ranges::find_if(candidates, begins);
  }
  std::string best;
  std::size_t best_distance = word.size() / 2 + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string unknown_word(std::string_view what, std::string_view word,
                         std::span<const std::string> candidates) {
  std::string text = concat("unknown ", what, " '", word, "'");
  const std::string guess = nearest(word, candidates);
  if (candidates.empty()) return text + "; it takes none";
  text += guess.empty() ? "; known: " : concat("; did you mean '", guess, "'? Known: ");
  return text + join(candidates);
}

}  // namespace sbp
