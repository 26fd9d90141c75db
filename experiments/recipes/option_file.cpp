#include "experiments/recipes/option_file.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaximumDepth = 2;
constexpr std::size_t kMaximumBytes = 1 << 20;

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  OptionFile read(std::string_view text) const {
    const Json document = parse(text);
    if (!document.is_object()) fail("is not a JSON object");
    OptionFile file;
    for (const auto& [key, value] : document.items()) {
      if (key == "about") {
        if (!value.is_string()) fail("has an 'about' that is not a text");
        file.about = value.get<std::string>();
      } else if (key != "options") {
        fail(concat("has the key '", key, "'; it may have about and options"));
      }
    }
    if (!document.contains("options") || !document["options"].is_object()) {
      fail("has no object 'options'");
    }
    for (const auto& [key, value] : document["options"].items()) {
      file.options.emplace_back(key, spelled(key, value));
    }
    return file;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError(concat("config '", name_, "' ", what));
  }

  // The library keeps the last of two equal keys and says nothing.
  Json parse(std::string_view text) const {
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::object_start) {
        if (depth > kMaximumDepth) fail("nests deeper than about and options do");
        keys.emplace_back();
      } else if (event == Json::parse_event_t::array_start) {
        fail("has a list in it; values are texts, numbers, true and false");
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

  std::string spelled(const std::string& key, const Json& value) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number() || value.is_boolean()) return value.dump();
    fail(concat("gives '", key, "' the value ", value.dump(),
                "; it must be a text, a number, true or false"));
  }

  const std::string& name_;
};

}  // namespace

OptionFile parse_option_file(std::string_view text, const std::string& name) {
  return Reader(name).read(text);
}

OptionFile read_option_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) {
    text.resize(kMaximumBytes + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
  }
  if (!file.eof() && text.size() <= kMaximumBytes) {
    throw UsageError(concat("cannot read config '", path, "'; it must be a readable JSON file"));
  }
  if (text.size() > kMaximumBytes) {
    throw UsageError(concat("config '", path, "' is larger than 1 MiB; is it a config?"));
  }
  return parse_option_file(text, path);
}

}  // namespace sbp::experiments
