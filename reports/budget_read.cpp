// Budgets from JSON.
#include <array>
#include <set>
#include <span>

#include "profiler/record.h"
#include "reports/budget.h"
#include "reports/json_reading.h"
#include "sbp/base/number.h"

namespace sbp::reports {
namespace {

constexpr const char* kAbout = "about";
constexpr std::array<BudgetPart, 4> kParts = {BudgetPart::total, BudgetPart::phases,
                                              BudgetPart::categories, BudgetPart::layers};

const std::vector<std::string>& figures_of(BudgetPart part) {
  static const std::vector<std::string> kTotal = {"peak_bytes",           "transient_peak_bytes",
                                                  "saved_logical_bytes",  "saved_distinct_bytes",
                                                  "saved_marginal_bytes", "saved_index_bytes",
                                                  "peak_requested_bytes", "peak_allocated_bytes",
                                                  "peak_reserved_bytes",  "peak_device_bytes"};
  static const std::vector<std::string> kPhases = {"peak_bytes", "live_at_end_bytes",
                                                   "allocated_bytes"};
  static const std::vector<std::string> kCategories = {"bytes"};
  static const std::vector<std::string> kLayers = {
      "own_peak_bytes",    "saved_logical_bytes", "saved_distinct_bytes", "saved_marginal_bytes",
      "saved_index_bytes", "requested_bytes",     "block_bytes"};
  switch (part) {
    case BudgetPart::total: return kTotal;
    case BudgetPart::phases: return kPhases;
    case BudgetPart::categories: return kCategories;
    case BudgetPart::layers: break;
  }
  return kLayers;
}

template <typename Word>
std::vector<std::string> words(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.emplace_back(to_string(static_cast<Word>(i)));
  return all;
}

class Reader {
 public:
  explicit Reader(std::string_view source) : budget_{.source = std::string(source), .limits = {}} {}

  Budget read(std::string_view text) {
    const Json document = parsed(text);
    if (!document.is_object())
      fail("it", "must be an object with total, phases, categories, layers");
    for (const auto& item : document.items()) take_part(item.key(), item.value());
    if (budget_.limits.empty()) fail("it", "limits nothing");
    return std::move(budget_);
  }

 private:
  [[noreturn]] void fail(const std::string& place, const std::string& what) const {
    throw UsageError(concat("cannot read budget '", budget_.source, "': ", place, " ", what));
  }

  Json parsed(std::string_view text) const {
    try {
      parse_json(text, budget_.source, "budget");
    } catch (const Error& error) {
      throw UsageError(error.what());
    }
    // Once more, for keys that stand twice: the last would silently win.
    std::vector<std::set<std::string>> open;
    return Json::parse(text.begin(), text.end(), [&](int, Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::object_start) open.emplace_back();
      if (event == Json::parse_event_t::object_end) open.pop_back();
      if (event == Json::parse_event_t::key) {
        const std::string key = value.get<std::string>();
        if (!open.back().insert(key).second) fail("'" + key + "'", "stands in it twice");
      }
      return true;
    });
  }

  void take_part(const std::string& key, const Json& value) {
    if (key == kAbout) return;
    std::vector<std::string> known = {kAbout};
    for (const BudgetPart part : kParts) {
      if (to_string(part) == key) return take_limits(part, value);
      known.emplace_back(to_string(part));
    }
    fail("it", "has an " + unknown_word("key", key, known));
  }

  void take_limits(BudgetPart part, const Json& value) {
    const std::string place(to_string(part));
    if (part == BudgetPart::total) return take_figures(part, "", value, place);
    if (!value.is_object()) fail(place, "must be an object of names and limits");
    for (const auto& item : value.items()) {
      const std::string& name = item.key();
      check_name(part, name, place);
      const std::string where = concat(place, " '", name, "'");
      if (item.value().is_object() && part != BudgetPart::categories) {
        take_figures(part, name, item.value(), where);
      } else if (part == BudgetPart::layers) {
        fail(where, "must be an object of figures: " + join(figures_of(part)));
      } else {
        add(part, name, figures_of(part).front(), item.value(), where);
      }
    }
  }

  void check_name(BudgetPart part, const std::string& name, const std::string& place) const {
    if (part == BudgetPart::layers) return;
    const std::vector<std::string> known =
        part == BudgetPart::phases ? words<Phase>(kPhaseCount)
                                   : words<profiler::Category>(profiler::kCategoryCount);
    for (const std::string& word : known) {
      if (word == name) return;
    }
    fail(place, "has an " + unknown_word("name", name, known));
  }

  void take_figures(BudgetPart part, const std::string& subject, const Json& value,
                    const std::string& place) {
    if (!value.is_object()) fail(place, "must be an object of figures: " + join(figures_of(part)));
    for (const auto& item : value.items()) {
      bool known = false;
      for (const std::string& figure : figures_of(part)) known = known || figure == item.key();
      if (!known) fail(place, "has an " + unknown_word("figure", item.key(), figures_of(part)));
      add(part, subject, item.key(), item.value(), concat(place, " ", item.key()));
    }
  }

  void add(BudgetPart part, const std::string& subject, const std::string& figure,
           const Json& value, const std::string& place) {
    std::optional<std::int64_t> size;
    if (value.is_string()) {
      size = parse_size(value.get<std::string>());
    } else if (value.is_number_integer() && !value.is_number_unsigned()) {
      size = std::nullopt;  // below 0
    } else if (value.is_number_unsigned() && value.get<std::uint64_t>() <= kLargest) {
      size = static_cast<std::int64_t>(value.get<std::uint64_t>());
    }
    if (!size) {
      fail(place, concat("is ", value.dump(-1, ' ', false, Json::error_handler_t::replace),
                         "; it must be a whole number of bytes, or a size such as \"350 MiB\""));
    }
    budget_.limits.push_back({part, subject, figure, *size});
  }

  static constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();

  Budget budget_;
};

}  // namespace

std::string_view to_string(BudgetPart part) {
  constexpr std::array<std::string_view, 4> kWords = {"total", "phases", "categories", "layers"};
  return kWords.at(static_cast<std::size_t>(part));
}

Budget parse_budget(std::string_view json, std::string_view source) {
  return Reader(source).read(json);
}

}  // namespace sbp::reports
