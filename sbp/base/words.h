// The words of an enumeration whose values count from 0.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sbp {

template <typename Enum, std::size_t count>
constexpr std::string_view word_of(const std::array<std::string_view, count>& words, Enum value) {
  return words.at(static_cast<std::size_t>(value));
}

// Nothing where it is none of them.
template <typename Enum, std::size_t count>
constexpr std::optional<Enum> value_of(const std::array<std::string_view, count>& words,
                                       std::string_view word) {
  const auto found = std::ranges::find(words, word);
  if (found == words.end()) return std::nullopt;
  return static_cast<Enum>(found - words.begin());
}

}  // namespace sbp
