#include "profiler/problems.h"

#include <array>
#include <charconv>

namespace sbp::profiler {

std::string hex(std::uint64_t address) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), address, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

}  // namespace sbp::profiler
