#include "experiments/sweep/recipe.h"

#include "experiments/recipes/settings_file.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

using Json = experiments::SettingsFile::Json;

constexpr std::int64_t kMostRepeats = 10'000;

class Reader : experiments::SettingsFile {
 public:
  explicit Reader(const std::string& name) : SettingsFile("recipe", name) {}

  Recipe read(std::string_view text) const {
    const Json document =
        parse(text, {.depth = 3, .too_deep = "nests deeper than a recipe does", .has_lists = true});
    if (!document.is_object()) fail("is not a JSON object");
    Recipe recipe;
    for (const auto& [key, value] : document.items()) take(key, value, recipe);
    if (document.contains("repeats")) recipe.axes.push_back(repeats(document["repeats"], recipe));
    return recipe;
  }

 private:
  void take(const std::string& key, const Json& value, Recipe& recipe) const {
    if (key == "about" || key == "paper" || key == "command") {
      if (!value.is_string()) fail(concat("has a '", key, "' that is not a text"));
      std::string& target =
          key == "about" ? recipe.about : (key == "paper" ? recipe.paper : recipe.command);
      target = value.get<std::string>();
    } else if (key == "base") {
      recipe.base = settings(key, value);
    } else if (key == "axes") {
      recipe.axes = axes(value);
    } else if (key == "exclude") {
      recipe.exclude = exclusions(value);
    } else if (key == "equal_peak") {
      if (!value.is_boolean()) fail("has an 'equal_peak' that is neither true nor false");
      recipe.equal_peak = value.get<bool>();
    } else if (key != "repeats") {
      fail(concat("has the key '", key,
                  "'; it may have about, paper, command, base, axes, exclude, repeats and "
                  "equal_peak"));
    }
  }

  std::vector<Setting> settings(const std::string& what, const Json& value) const {
    if (!value.is_object()) fail(concat("has a '", what, "' that is not an object"));
    std::vector<Setting> all;
    for (const auto& [key, member] : value.items()) all.emplace_back(key, spelled(key, member));
    return all;
  }

  std::vector<reports::SweepAxis> axes(const Json& value) const {
    if (!value.is_object()) fail("has 'axes' that are not an object of lists");
    std::vector<reports::SweepAxis> all;
    for (const auto& [key, list] : value.items()) {
      if (!list.is_array()) fail(concat("has an axis '", key, "' that is not a list of values"));
      reports::SweepAxis axis{.name = key, .values = {}};
      for (const Json& member : list) axis.values.push_back(spelled(key, member));
      all.push_back(std::move(axis));
    }
    return all;
  }

  std::vector<std::vector<Setting>> exclusions(const Json& value) const {
    if (!value.is_array()) fail("has an 'exclude' that is not a list of objects");
    std::vector<std::vector<Setting>> all;
    for (const Json& member : value) {
      all.push_back(settings("exclude", member));
      if (all.back().empty()) fail("excludes {}, which would be every point");
    }
    return all;
  }

  reports::SweepAxis repeats(const Json& value, const Recipe& recipe) const {
    if (!value.is_number_integer() || value.get<double>() < 1 ||
        value.get<double>() > static_cast<double>(kMostRepeats)) {
      fail(concat("has 'repeats' ", value.dump(), "; it must be a whole number from 1 to ",
                  kMostRepeats));
    }
    reports::SweepAxis axis{.name = "seed", .values = {}};
    for (const reports::SweepAxis& other : recipe.axes) {
      if (other.name == axis.name) fail("has both 'repeats' and an axis 'seed'; give one of them");
    }
    for (std::int64_t seed = 1; seed <= value.get<std::int64_t>(); ++seed) {
      axis.values.push_back(std::to_string(seed));
    }
    return axis;
  }
};

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& name) {
  return Reader(name).read(text);
}

Recipe read_recipe(const std::string& path) {
  return parse_recipe(experiments::read_settings("recipe", path), path);
}

reports::SweepAxis parse_axis(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw UsageError(concat("--axis is '", text, "'; it must be NAME=VALUE|VALUE|..."));
  }
  reports::SweepAxis axis{.name = text.substr(0, equals), .values = {""}};
  bool quoted = false;
  for (const char sign : text.substr(equals + 1)) {
    if (sign == '"') quoted = !quoted;
    if (sign == '|' && !quoted) {
      axis.values.emplace_back();
    } else {
      axis.values.back() += sign;
    }
  }
  return axis;
}

}  // namespace sbp::sweep
