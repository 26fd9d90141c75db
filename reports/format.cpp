#include "reports/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

std::string formatted(const char* format, int decimals, double value) {
  std::array<char, 64> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), format, decimals, value);
  const auto shown = std::clamp<int>(length, 0, static_cast<int>(buffer.size()) - 1);
  return {buffer.data(), static_cast<std::size_t>(shown)};
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& byte : shown) {
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7F) byte = '?';
  }
  return shown;
}

std::size_t shown_width(std::string_view text) {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

std::string count_text(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes > -1024 && bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024.0;
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0 of the smaller unit.
  while (std::abs(value) >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024.0;
    ++unit;
  }
  return number_text(value, 1) + " " + kUnits[unit];
}

std::string change_text(std::int64_t bytes) {
  return (bytes > 0 ? "+" : "") + bytes_text(bytes);
}

std::string number_text(double value, int decimals) {
  if (!std::isfinite(value)) return "not finite";
  return formatted("%.*f", decimals, value);
}

std::string figure_text(const std::optional<double>& value, int decimals) {
  return value ? number_text(*value, decimals) : "-";
}

std::string short_number_text(double value) {
  if (!std::isfinite(value)) return "not finite";
  return formatted("%.*g", 3, value);
}

std::string seconds_text(double seconds) {
  if (!std::isfinite(seconds)) return "not finite";
  if (seconds < 1e-3) return number_text(seconds * 1e6, 0) + " us";
  if (seconds < 1.0) return number_text(seconds * 1e3, 1) + " ms";
  if (seconds < 60.0) return number_text(seconds, 2) + " s";
  const auto whole = static_cast<std::int64_t>(std::min(seconds, 9e15));
  if (whole < 3600) return concat(whole / 60, " min ", whole % 60, " s");
  return concat(whole / 3600, " h ", whole / 60 % 60, " min");
}

std::string percent_text(double ratio) {
  return number_text(100.0 * ratio, 2) + " %";
}

std::string share_text(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return "-";
  return number_text(100.0 * static_cast<double>(part) / static_cast<double>(whole), 1) + " %";
}

}  // namespace sbp::reports
