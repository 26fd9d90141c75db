#include "experiments/recipes/settings_file.h"

#include <fstream>
#include <set>
#include <vector>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::size_t kMaximumBytes = 1 << 20;

}  // namespace

void SettingsFile::fail(const std::string& what) const {
  throw UsageError(concat(kind_, " '", name_, "' ", what));
}

SettingsFile::Json SettingsFile::parse(std::string_view text, const Shape& shape) const {
  // The library keeps the last of two equal keys and says nothing.
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    const bool is_list = event == Json::parse_event_t::array_start;
    if (is_list && !shape.has_lists) {
      fail("has a list in it; values are texts, numbers, true and false");
    }
    if ((is_list || event == Json::parse_event_t::object_start) && depth > shape.depth) {
      fail(shape.too_deep);
    }
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key &&
               !keys.back().insert(value.get<std::string>()).second) {
      fail(concat("has the key '", value.get<std::string>(), "' twice"));
    }
    return true;
  };
  if (text.find('\0') != std::string_view::npos) fail("is not a text file");
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    fail(concat("is not JSON at byte ", error.byte));
  } catch (const Json::out_of_range&) {
    fail("has a number that is larger than any that can be held");
  }
}

std::string SettingsFile::spelled(const std::string& key, const Json& value) const {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  fail(concat("gives '", key, "' the value ", value.dump(),
              "; it must be a text, a number, true or false"));
}

std::string read_settings(const std::string& kind, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) {
    text.resize(kMaximumBytes + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
  }
  if (!file.eof() && text.size() <= kMaximumBytes) {
    throw UsageError(
        concat("cannot read ", kind, " '", path, "'; it must be a readable JSON file"));
  }
  if (text.size() > kMaximumBytes) {
    throw UsageError(concat(kind, " '", path, "' is larger than 1 MiB; is it a ", kind, "?"));
  }
  return text;
}

}  // namespace sbp::experiments
