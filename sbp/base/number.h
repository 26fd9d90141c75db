// Numbers to text and back, without regard to locale.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace sbp {

// All of `text` as a number. std::errc() when it is one; invalid_argument where it is not, or not
// all of it; result_out_of_range where `Number` does not hold it. `number` is set if it is one.
template <typename Number>
std::errc parse_number(std::string_view text, Number& number) {
  const char* const last = text.data() + text.size();
  const auto [end, code] = std::from_chars(text.data(), last, number);
  return end == last ? code : std::errc::invalid_argument;
}

// "350 MiB", "1.5 GB", "12GiB", "12 B": whole bytes, a fraction of one dropped; absent where it is
// no size.
std::optional<std::int64_t> parse_size(std::string_view text);

// The shortest text that reads back as `number`: "0.1", "1e-06".
std::string exact_text(double number);

}  // namespace sbp
