#include "sbp/base/pattern.h"

#include <cstddef>

namespace sbp {

bool matches_pattern(std::string_view pattern, std::string_view name) {
  std::size_t at = 0, i = 0;
  std::size_t star = std::string_view::npos, retry = 0;
  while (i < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      retry = i;
    } else if (at < pattern.size() && pattern[at] == name[i]) {
      ++at, ++i;
    } else if (star != std::string_view::npos) {
      at = star + 1;  // the last star takes one sign more
      i = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

}  // namespace sbp
