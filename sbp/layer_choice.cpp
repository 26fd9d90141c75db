#include "sbp/layer_choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "sbp/base/pattern.h"
#include "sbp/base/spec.h"

namespace sbp {
namespace {

constexpr std::string_view kDigits = "0123456789";

bool consists_of(std::string_view word, std::string_view signs) {
  return word.find_first_not_of(signs) == std::string_view::npos;
}

// Does `name`, or a name that it lies below?
bool matches(std::string_view pattern, std::string_view name) {
  for (std::size_t end = name.find('.'); end != std::string_view::npos;
       end = name.find('.', end + 1)) {
    if (matches_pattern(pattern, name.substr(0, end))) return true;
  }
  return matches_pattern(pattern, name);
}

// "blocks.3.mlp" -> "blocks.*.mlp".
std::string without_numbers(std::string_view name) {
  std::string result;
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('.', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    if (start > 0) result += '.';
    result += !part.empty() && consists_of(part, kDigits) ? std::string_view("*") : part;
    start = end + 1;
  }
  return result;
}

// Every name of a model once, numbers left out; what most blocks have comes first.
std::string names_of(const SiteTable& sites) {
  std::vector<std::string> names;
  for (const Site& site : sites.sites()) {
    std::string name = without_numbers(site.name);
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names.empty() ? "none" : join(names);
}

// [first, last) of the blocks that the released models drop in.
std::pair<int, int> released_blocks(std::span<const int> stage_depths, int block_count) {
  constexpr std::array<int, 4> kConvnextTiny{3, 3, 9, 3}, kConvnextBase{3, 3, 27, 3};
  if (std::ranges::equal(stage_depths, kConvnextTiny)) return {0, 3 + 3 + 6};
  if (std::ranges::equal(stage_depths, kConvnextBase)) return {0, 3 + 3 + 21};
  return {block_count - static_cast<int>(std::lround(2.0 * block_count / 3.0)), block_count};
}

class Chooser {
 public:
  Chooser(const SiteTable& sites, std::string_view value, std::string_view subject)
      : sites_(sites), text_(concat(subject, " '", value, "'")) {
    chosen_.resize(sites.sites().size());
  }

  void choose(const std::string& word) {
    const int count = sites_.block_count();
    if (word == "all") {
      choose_blocks(0, count);
    } else if (word == "released") {
      const auto [first, last] = released_blocks(sites_.stage_depths(), count);
      choose_blocks(first, last);
    } else if (consists_of(word, "0123456789-")) {
      choose_range(word);
    } else if (consists_of(word, "0123456789.")) {
      choose_part(word);
    } else {
      choose_names(word);
    }
  }

  std::vector<bool> take() && { return std::move(chosen_); }

 private:
  void choose_blocks(std::int64_t first, std::int64_t last) {
    for (SiteId id = 0; id < sites_.size(); ++id) {
      const int block = sites_[id].block;
      if (block >= first && block < last) chosen_[static_cast<std::size_t>(id)] = true;
    }
  }

  void choose_range(const std::string& word) {
    const IntegerRange range = parse_range(word);
    const int count = sites_.block_count();
    if (count == 0) throw UsageError(concat(text_, " names a block, and this model has none"));
    if (range.last >= count) {
      throw UsageError(concat(text_, " names a block outside 0-", count - 1));
    }
    choose_blocks(range.first, range.last + 1);
  }

  void choose_part(const std::string& word) {
    double part = 0.0;
    if (parse_number(word, part) != std::errc() || part > 1.0) {
      throw UsageError(concat(text_, " is no part of the blocks; write 0.5 for the last half"));
    }
    const int count = sites_.block_count();
    const auto blocks = static_cast<int>(std::lround(part * count));
    if (blocks == 0) {
      throw UsageError(concat(text_, " is none of ", count, " blocks; use a larger part"));
    }
    choose_blocks(count - blocks, count);
  }

  void choose_names(const std::string& pattern) {
    bool found = false;
    for (SiteId id = 0; id < sites_.size(); ++id) {
      if (!matches(pattern, sites_[id].name)) continue;
      found = true;
      chosen_[static_cast<std::size_t>(id)] = true;
    }
    if (found) return;
    throw UsageError(concat(text_, " names '", pattern,
                            "', which is none of all, released, a range such as 4-11, a part such "
                            "as 0.5 or a name of this model: ",
                            names_of(sites_)));
  }

  const SiteTable& sites_;
  std::string text_;
  std::vector<bool> chosen_;
};

}  // namespace

LayerChoice::LayerChoice(const SiteTable& sites, std::string_view value, std::string_view subject) {
  Chooser chooser(sites, value, subject);
  for (const std::string& word : parse_list(value)) chooser.choose(word);
  chosen_ = std::move(chooser).take();
}

}  // namespace sbp
