#include "experiments/recipes/device_file.h"

#include "experiments/recipes/settings_file.h"
#include "sbp/base/error.h"
#include "sbp/base/spec.h"

namespace sbp::experiments {
namespace {

class Reader : SettingsFile {
 public:
  explicit Reader(const std::string& name) : SettingsFile("GPU file", name) {}

  std::string read(std::string_view text) const {
    const Json document = parse(text, {.depth = 0, .too_deep = "nests; its values are sizes"});
    if (!document.is_object()) fail("is not a JSON object");
    Spec spec;
    for (const auto& [key, value] : document.items()) {
      if (key == "gpu") {
        if (!value.is_string()) fail("has a 'gpu' that is not a text");
        spec.name = plain("a 'gpu'", value.get<std::string>());
      } else if (key != "about") {
        plain("a key", key);
        spec.values.emplace_back(key, plain(concat("a '", key, "'"), spelled(key, value)));
      }
    }
    if (spec.name.empty()) {
      fail("has no 'gpu', the known card that it starts from, such as a100; see --list gpus");
    }
    return to_string(spec);
  }

 private:
  // One word of a spec: with the signs that separate its parts it would be read as several, and an
  // empty one as if it were not there.
  std::string plain(const std::string& what, const std::string& text) const {
    if (text.empty()) fail(concat("has ", what, " that is empty"));
    if (text.find_first_of(kSeparators) != std::string::npos) {
      fail(concat("has ", what, " that is '", text,
                  "'; none of the signs : , = + \" may stand in it, each key stands by itself"));
    }
    return text;
  }

  static constexpr const char* kSeparators = ":,=+\"";
};

}  // namespace

std::string parse_device_file(std::string_view text, const std::string& name) {
  return Reader(name).read(text);
}

std::string read_device_file(const std::string& path) {
  return parse_device_file(read_settings("GPU file", path), path);
}

bool is_device_file(std::string_view word) {
  return word.ends_with(".json");
}

}  // namespace sbp::experiments
