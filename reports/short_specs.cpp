#include "reports/short_specs.h"

#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace sbp::reports {
namespace {

// "NAME:KEY=VALUE,..." taken apart; a value may stand in quotes that hold any sign.
struct Part {
  std::string name;
  std::vector<std::pair<std::string, std::string>> keys;
};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (const char sign : text) {
    if (sign == '"') quoted = !quoted;
    if (sign == separator && !quoted) {
      parts.emplace_back();
    } else {
      parts.back() += sign;
    }
  }
  return parts;
}

Part part_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  Part part{.name = text.substr(0, colon), .keys = {}};
  if (colon == std::string::npos) return part;
  for (const std::string& pair : split(std::string_view(text).substr(colon + 1), ',')) {
    const std::size_t sign = pair.find('=');
    part.keys.emplace_back(pair.substr(0, sign),
                           sign == std::string::npos ? std::string() : pair.substr(sign + 1));
  }
  return part;
}

std::vector<Part> parts_of(const std::string& spec) {
  std::vector<Part> parts;
  for (const std::string& text : split(spec, '+')) parts.push_back(part_of(text));
  return parts;
}

// "sbp+dropit": only specs of the same names are compared key by key.
std::string names_of(const std::vector<Part>& parts) {
  std::string names;
  for (const Part& part : parts) names += part.name + '+';
  return names;
}

// Where a key stands: the names, the number of the part, the key.
using Place = std::pair<std::string, std::pair<std::size_t, std::string>>;

std::map<Place, std::set<std::string>> values_of(const std::vector<std::vector<Part>>& all) {
  std::map<Place, std::set<std::string>> values;
  for (const auto& parts : all) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (const auto& [key, value] : parts[i].keys) {
        values[{names_of(parts), {i, key}}].insert(value);
      }
    }
  }
  // A key that some of them lack differs as well.
  for (const auto& parts : all) {
    for (auto& [place, found] : values) {
      if (place.first != names_of(parts)) continue;
      const Part& part = parts[place.second.first];
      bool has = false;
      for (const auto& pair : part.keys) has = has || pair.first == place.second.second;
      if (!has) found.insert("\n");  // no value is that
    }
  }
  return values;
}

}  // namespace

std::vector<std::string> short_specs(const std::vector<std::string>& specs) {
  std::vector<std::vector<Part>> all;
  for (const std::string& spec : specs) all.push_back(parts_of(spec));
  const auto values = values_of(all);
  std::vector<std::string> result;
  for (const auto& parts : all) {
    std::string text;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) text += '+';
      text += parts[i].name;
      char separator = ':';
      for (const auto& [key, value] : parts[i].keys) {
        if (values.at({names_of(parts), {i, key}}).size() < 2) continue;
        text += separator + key + '=' + value;
        separator = ',';
      }
    }
    result.push_back(std::move(text));
  }
  return result;
}

}  // namespace sbp::reports
