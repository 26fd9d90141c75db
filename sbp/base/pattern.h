// Name patterns: '*' stands for any run of signs, dots included.
#pragma once

#include <string_view>

namespace sbp {

// Does all of `name` match?
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace sbp
