#include "experiments/sweep/plan.h"

#include <algorithm>
#include <array>
#include <map>

#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::sweep {
namespace {

using Values = std::vector<std::optional<std::string>>;

constexpr std::size_t kMostPoints = 100'000;

const SpecOption* spec_option(const CommandOptions& command, const std::string& name) {
  const auto found = std::ranges::find(command.specs, name, &SpecOption::name);
  return found == command.specs.end() ? nullptr : &*found;
}

// An axis as the planner uses it: a whole option, or one key of a spec in it.
struct AxisTarget {
  std::string option;
  std::string spec;  // empty: the whole option
  std::string key;
};

AxisTarget target_of(const CommandOptions& command, const std::string& axis) {
  if (std::ranges::find(command.names, axis) != command.names.end()) return {axis, "", ""};
  const std::size_t first = axis.find('.');
  const std::size_t second = first == std::string::npos ? first : axis.find('.', first + 1);
  if (second != std::string::npos && second + 1 < axis.size()) {
    AxisTarget target{axis.substr(0, first), axis.substr(first + 1, second - first - 1),
                      axis.substr(second + 1)};
    if (spec_option(command, target.option) != nullptr) return target;
  }
  std::vector<std::string> with_specs;
  for (const SpecOption& option : command.specs) with_specs.push_back(option.name);
  const std::string guess = nearest(axis.substr(0, first), command.names);
  throw UsageError(concat("axis '", axis, "' names no option of sbp-", command.command,
                          guess.empty() ? "" : concat(" (did you mean '", guess, "'?)"),
                          "; it is an option without its dashes, or OPTION.SPEC.KEY with one of ",
                          join(with_specs)));
}

void check_values(const reports::SweepAxis& axis) {
  if (axis.values.empty()) throw UsageError(concat("axis '", axis.name, "' has no values"));
  std::set<std::string> seen;
  for (const std::string& value : axis.values) {
    if (value.empty()) throw UsageError(concat("axis '", axis.name, "' has an empty value"));
    if (!seen.insert(value).second) {
      throw UsageError(concat("axis '", axis.name, "' has the value '", value, "' twice"));
    }
  }
}

// Calls `work`, and says of an error which value of which axis it is about.
template <typename Work>
auto about_value(const std::string& axis, const std::string& value, Work work) {
  try {
    return work();
  } catch (const UsageError& error) {
    throw UsageError(concat("axis '", axis, "', value '", value, "': ", error.what()));
  }
}

std::string setting_text(const std::vector<Setting>& settings) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : settings) parts.push_back(concat(name, "=", value));
  return join(parts);
}

class Planner {
 public:
  Planner(const CommandOptions& command, const PlanRequest& request)
      : command_(command), request_(request) {}

  Plan plan() {
    check();
    plan_.axes = request_.axes;
    std::vector<std::size_t> place(request_.axes.size(), 0);
    do {
      add_point(place);
    } while (advance(place));
    check_axes_apply();
    for (std::size_t i = 0; i < request_.exclude.size(); ++i) {
      if (excluded_[i]) continue;
      plan_.warnings.push_back(
          concat("the exclusion of '", setting_text(request_.exclude[i]), "' matches no point"));
    }
    if (plan_.points.empty()) throw UsageError("every point is excluded; nothing is left to run");
    identify(command_, plan_);
    return std::move(plan_);
  }

 private:
  void check() {
    if (request_.axes.empty()) {
      throw UsageError(
          "there is no axis; give --axis 'NAME=VALUE|VALUE', or a --recipe that has axes");
    }
    std::set<std::string> names;
    std::size_t points = 1;
    for (const reports::SweepAxis& axis : request_.axes) {
      if (!names.insert(axis.name).second) {
        throw UsageError(concat("axis '", axis.name, "' is given twice"));
      }
      check_values(axis);
      targets_.push_back(target_of(command_, axis.name));
      check_specs(axis, targets_.back());
      points = std::min(kMostPoints + 1, points * axis.values.size());
      if (points > kMostPoints) {
        throw UsageError(concat("the axes make more than ", kMostPoints, " points"));
      }
    }
    applies_.resize(request_.axes.size());
    excluded_.resize(request_.exclude.size());
    for (const auto& exclusion : request_.exclude) check_exclusion(exclusion);
  }

  // Whole options that are specs: each value by itself, so that errors name it.
  void check_specs(const reports::SweepAxis& axis, const AxisTarget& target) const {
    const SpecOption* option = spec_option(command_, target.option);
    if (option == nullptr || !target.spec.empty()) return;
    for (const std::string& value : axis.values) {
      about_value(axis.name, value, [&] { return parse_specs(value, axis.name, option->schemas); });
    }
  }

  void check_exclusion(const std::vector<Setting>& exclusion) const {
    for (const auto& [name, value] : exclusion) {
      const auto axis = std::ranges::find(request_.axes, name, &reports::SweepAxis::name);
      if (axis == request_.axes.end()) {
        throw UsageError(concat("'exclude' names '", name, "', which is no axis"));
      }
      if (std::ranges::find(axis->values, value) == axis->values.end()) {
        throw UsageError(concat("'exclude' names the value '", value, "', which axis '", name,
                                "' does not have; it has ", join(axis->values)));
      }
    }
  }

  // The next combination, the last axis first; false after the last one.
  bool advance(std::vector<std::size_t>& place) const {
    for (std::size_t i = place.size(); i-- > 0;) {
      if (++place[i] < request_.axes[i].values.size()) return true;
      place[i] = 0;
    }
    return false;
  }

  void add_point(const std::vector<std::size_t>& place) {
    PlannedPoint point{.id = "", .values = Values(place.size()), .options = request_.base};
    // Whole options first, whatever the order of the axes: keys are set inside of them.
    for (const bool keys : {false, true}) {
      for (std::size_t i = 0; i < place.size(); ++i) {
        if (targets_[i].spec.empty() == keys) continue;
        set_axis(i, request_.axes[i].values[place[i]], point);
      }
    }
    if (!seen_.insert(point.values).second || is_excluded(point.values)) return;
    plan_.points.push_back(std::move(point));
  }

  void set_axis(std::size_t index, const std::string& value, PlannedPoint& point) {
    const AxisTarget& target = targets_[index];
    std::optional<std::string> whole = value;
    if (!target.spec.empty()) {
      const SpecOption& option = *spec_option(command_, target.option);
      const std::string text = option_of(command_, point.options, target.option).value_or("");
      if (text.empty()) return;
      whole = about_value(request_.axes[index].name, value, [&] {
        return with_key(text, target.option, option.schemas, {target.spec, target.key, value});
      });
    }
    if (!whole) return;
    applies_[index] = true;
    point.values[index] = value;
    set_option(point.options, target.option, *whole);
  }

  bool is_excluded(const Values& values) {
    bool found = false;
    for (std::size_t i = 0; i < request_.exclude.size(); ++i) {
      const bool matches = std::ranges::all_of(request_.exclude[i], [&](const Setting& setting) {
        const auto axis =
            std::ranges::find(request_.axes, setting.first, &reports::SweepAxis::name);
        return values[static_cast<std::size_t>(axis - request_.axes.begin())] == setting.second;
      });
      if (matches) excluded_[i] = true;
      found = found || matches;
    }
    return found;
  }

  void check_axes_apply() const {
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (applies_[i]) continue;
      const AxisTarget& target = targets_[i];
      throw UsageError(concat("axis '", request_.axes[i].name, "' applies to no point: none has '",
                              target.spec, "' as its ", target.option));
    }
  }

  const CommandOptions& command_;
  const PlanRequest& request_;
  std::vector<AxisTarget> targets_;  // one an axis
  std::vector<bool> applies_;        // the same
  std::vector<bool> excluded_;       // one an exclusion: it matched
  std::set<Values> seen_;
  Plan plan_;
};

// A number in its shortest form, so that 0.50 is 0.5.
std::string plain(const std::string& value) {
  double number = 0.0;
  return parse_number(value, number) == std::errc() ? exact_text(number) : value;
}

// What the options mean: specs with all their keys. Equal for two spellings of one command.
std::string meaning(const CommandOptions& command, std::vector<Setting> options) {
  for (const SpecOption& option : command.specs) {
    const std::string text = option_of(command, options, option.name).value_or("");
    if (text.empty()) continue;
    std::vector<Spec> specs = parse_specs(text, option.name, option.schemas);
    for (Spec& spec : specs) {
      for (auto& value : spec.values) value.second = plain(value.second);
    }
    set_option(options, option.name, to_string(specs));
  }
  std::ranges::sort(options);
  std::string text;
  for (const auto& [name, value] : options) text += concat(name, "=", plain(value), "\n");
  return text;
}

}  // namespace

Plan make_plan(const CommandOptions& command, const PlanRequest& request) {
  return Planner(command, request).plan();
}

std::optional<std::string> option_of(const CommandOptions& command,
                                     const std::vector<Setting>& options, const std::string& name) {
  const auto found = std::ranges::find(options, name, &Setting::first);
  if (found != options.end()) return found->second;
  const SpecOption* option = spec_option(command, name);
  if (option == nullptr || option->default_value.empty()) return std::nullopt;
  return option->default_value;
}

void set_option(std::vector<Setting>& options, const std::string& name, const std::string& value) {
  const auto found = std::ranges::find(options, name, &Setting::first);
  if (found == options.end()) {
    options.emplace_back(name, value);
  } else {
    found->second = value;
  }
}

std::string point_id(const std::string& command, const std::vector<Setting>& options) {
  std::vector<Setting> sorted = options;
  std::ranges::sort(sorted);
  // FNV-1a; each text with its end, so that no two lists run together.
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto mix = [&hash](const std::string& text) {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      hash ^= i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
      hash *= 0x100000001b3U;
    }
  };
  mix(command);
  for (const auto& [name, value] : sorted) {
    mix(name);
    mix(value);
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id(16, '0');
  for (std::size_t i = 0; i < id.size(); ++i) id[15 - i] = kDigits[(hash >> (4 * i)) & 0xFU];
  return id;
}

void identify(const CommandOptions& command, Plan& plan) {
  std::map<std::string, const PlannedPoint*> meanings;
  std::set<std::string> ids;
  for (PlannedPoint& point : plan.points) {
    std::ranges::sort(point.options);
    point.id = point_id(command.command, point.options);
    const auto [same, is_first] = meanings.emplace(meaning(command, point.options), &point);
    if (!is_first) {
      throw UsageError(concat("the points '", point_text(plan, *same->second), "' and '",
                              point_text(plan, point), "' are one command; leave one of them out"));
    }
    if (!ids.insert(point.id).second) {
      throw Error(concat("two points have the id '", point.id, "'; change any option of all"));
    }
  }
}

std::vector<std::string> words_of(const CommandOptions& command,
                                  const std::vector<Setting>& options) {
  std::vector<std::string> words;
  for (const auto& [name, value] : options) {
    const bool is_flag = command.flags.contains(name);
    if (is_flag && value == "true") {
      words.push_back("--" + name);
    } else if (is_flag || value.starts_with('-') || value.empty()) {
      words.push_back("--" + name + "=" + value);
    } else {
      words.push_back("--" + name);
      words.push_back(value);
    }
  }
  return words;
}

std::string point_text(const Plan& plan, const PlannedPoint& point) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < plan.axes.size(); ++i) {
    if (point.values[i]) parts.push_back(concat(plan.axes[i].name, "=", *point.values[i]));
  }
  return join(parts);
}

}  // namespace sbp::sweep
