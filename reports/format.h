// The spelling of numbers and texts for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sbp::reports {

// `text` fit for a terminal: control characters become '?' (a report may come from anywhere).
std::string printable(std::string_view text);

// Characters shown: code points, with bytes that are not UTF-8 counted one each.
std::size_t shown_width(std::string_view text);

// "1,204,113".
std::string count_text(std::int64_t count);
// "+1.5 MiB", "-812 B", "0 B".
std::string change_text(std::int64_t bytes);
// `value` with so many decimals; "not finite" for NaN and infinities.
std::string number_text(double value, int decimals);
// The same of a figure that may be unknown: "-".
std::string figure_text(const std::optional<double>& value, int decimals = 4);
// At least three significant digits for small and large numbers alike: "0.001", "3e-05".
std::string short_number_text(double value);
// "12.3 ms", "4.56 s", "3 min 20 s".
std::string seconds_text(double seconds);
// A ratio as "12.50 %".
std::string percent_text(double ratio);
// part / whole as "12.5 %"; "-" when there is no whole.
std::string share_text(std::int64_t part, std::int64_t whole);

}  // namespace sbp::reports
