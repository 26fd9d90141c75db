// The value of roundup_power2_divisions, as PyTorch reads it.
#pragma once

#include <string>
#include <string_view>

#include "profiler/predict/allocator_options.h"

namespace sbp::predict {

using RoundupDivisions = std::array<std::int64_t, kRoundupIntervals>;

// Throws UsageError unless it is 0 or a power of two.
void check_divisions(std::int64_t divisions);

// "4" for every interval, or "[256:1,512:2,>:4]" by the MiB where an interval begins (`;` is good
// too). Read one by one: the first goes for all intervals below it as well, `>` for all above the
// one before it, and intervals that nothing names are not rounded up. Throws UsageError.
RoundupDivisions parse_roundup_divisions(std::string_view text);

// What parse_roundup_divisions() reads so.
std::string roundup_text(const RoundupDivisions& divisions);

}  // namespace sbp::predict
