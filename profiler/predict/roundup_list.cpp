#include "profiler/predict/roundup_list.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <optional>
#include <vector>

#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::predict {
namespace {

constexpr std::string_view kForm =
    "write one number such as 4, or a list by MiB such as \"[256:1,512:2,>:4]\" in double quotes";

bool is_power_of_two(std::int64_t number) {
  return number > 0 && std::has_single_bit(static_cast<std::uint64_t>(number));
}

std::int64_t parse_positive(std::string_view text, std::string_view whole) {
  std::int64_t number = 0;
  if (parse_number(text, number) != std::errc() || number < 0) {
    throw UsageError(concat("'", text, "' in allocator roundup_power2_divisions '", whole,
                            "' is not a whole number; ", kForm));
  }
  return number;
}

// The interval that begins at `mebibytes`; the last one for all above.
std::size_t interval_of(std::int64_t mebibytes, std::string_view whole) {
  if (!is_power_of_two(mebibytes)) {
    throw UsageError(concat("allocator roundup_power2_divisions '", whole, "' names '", mebibytes,
                            "' MiB, which is no power of two; ", kForm));
  }
  const int bit = std::countr_zero(static_cast<std::uint64_t>(mebibytes));
  return std::min(static_cast<std::size_t>(bit), kRoundupIntervals - 1);
}

// Reads the entries of a list one after the other.
class ListReader {
 public:
  explicit ListReader(std::string_view whole) : whole_(whole) {}

  void read(std::string_view entry) {
    const std::size_t colon = entry.find(':');
    if (colon == std::string_view::npos) {
      throw UsageError(concat("'", entry, "' in allocator roundup_power2_divisions '", whole_,
                              "' has no ':'; ", kForm));
    }
    const std::string_view start = entry.substr(0, colon);
    const std::int64_t divisions = parse_positive(entry.substr(colon + 1), whole_);
    check_divisions(divisions);
    if (start == ">") {
      std::fill(divisions_.begin() + static_cast<std::ptrdiff_t>(last_) + 1, divisions_.end(),
                divisions);
      return;
    }
    last_ = interval_of(parse_positive(start, whole_), whole_);
    if (first_) std::fill_n(divisions_.begin(), last_, divisions);
    first_ = false;
    divisions_[last_] = divisions;
  }

  const RoundupDivisions& divisions() const { return divisions_; }

 private:
  std::string_view whole_;
  RoundupDivisions divisions_{};
  std::size_t last_ = 0;
  bool first_ = true;
};

}  // namespace

void check_divisions(std::int64_t divisions) {
  if (divisions == 0 || is_power_of_two(divisions)) return;
  throw UsageError(
      concat("allocator roundup_power2_divisions must be powers of two, or 0 for "
             "none, not '",
             divisions, "'"));
}

RoundupDivisions parse_roundup_divisions(std::string_view text) {
  RoundupDivisions same{};
  if (!text.starts_with('[')) {
    same.fill(parse_positive(text, text));
    check_divisions(same.front());
    return same;
  }
  if (!text.ends_with(']')) {
    throw UsageError(
        concat("allocator roundup_power2_divisions '", text, "' has no ']' at its end; ", kForm));
  }
  ListReader reader(text);
  std::string_view rest = text.substr(1, text.size() - 2);
  while (true) {
    const std::size_t end = rest.find_first_of(",;");
    reader.read(rest.substr(0, end));
    if (end == std::string_view::npos) return reader.divisions();
    rest.remove_prefix(end + 1);
  }
}

std::string roundup_text(const RoundupDivisions& divisions) {
  if (std::ranges::all_of(divisions, [&](auto one) { return one == divisions.front(); })) {
    return std::to_string(divisions.front());
  }
  // As few as say the same: what the first and `>` say of their neighbours need not be listed.
  std::size_t first = 0;
  while (divisions[first + 1] == divisions[0]) ++first;
  std::size_t last = kRoundupIntervals - 1;
  while (divisions[last - 1] == divisions.back()) --last;
  std::vector<std::string> entries;
  for (std::size_t i = first; i < last; ++i) {
    entries.push_back(concat(std::int64_t{1} << i, ":", divisions[i]));
  }
  entries.push_back(concat(">:", divisions.back()));
  return concat("[", join(entries, ","), "]");
}

}  // namespace sbp::predict
