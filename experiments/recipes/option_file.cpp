#include "experiments/recipes/option_file.h"

#include "experiments/recipes/settings_file.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

using Json = SettingsFile::Json;

class Reader : SettingsFile {
 public:
  explicit Reader(const std::string& name) : SettingsFile("config", name) {}

  OptionFile read(std::string_view text) const {
    const Json document =
        parse(text, {.depth = 2, .too_deep = "nests deeper than about and options do"});
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
};

}  // namespace

OptionFile parse_option_file(std::string_view text, const std::string& name) {
  return Reader(name).read(text);
}

OptionFile read_option_file(const std::string& path) {
  return parse_option_file(read_settings("config", path), path);
}

}  // namespace sbp::experiments
