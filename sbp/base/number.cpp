#include "sbp/base/number.h"

#include <array>
#include <cmath>
#include <utility>

namespace sbp {

std::string exact_text(double number) {
  std::array<char, 32> text{};  // the longest takes 24
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 9> kUnits = {{{"B", 1.0},
                                                                          {"KiB", 1024.0},
                                                                          {"MiB", 1048576.0},
                                                                          {"GiB", 1073741824.0},
                                                                          {"TiB", 1099511627776.0},
                                                                          {"kB", 1e3},
                                                                          {"MB", 1e6},
                                                                          {"GB", 1e9},
                                                                          {"TB", 1e12}}};
  const std::size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view unit = text.substr(end);
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  double number = 0.0;
  if (parse_number(text.substr(0, end), number) != std::errc()) return std::nullopt;
  for (const auto& [word, bytes] : kUnits) {
    if (word != unit) continue;
    const double size = std::floor(number * bytes);
    if (!(size < 9e18)) return std::nullopt;
    return static_cast<std::int64_t>(size);
  }
  return std::nullopt;
}

}  // namespace sbp
