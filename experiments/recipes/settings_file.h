// What the readers of files of settings (options, recipes of sweeps) share. Private to them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sbp::experiments {

// One such file, for errors: `kind` is "config" or "recipe".
class SettingsFile {
 public:
  using Json = nlohmann::ordered_json;
  struct Shape {
    int depth = 0;         // objects and lists below the document, one in the other
    std::string too_deep;  // what to say of more: "nests deeper than ..."
    bool has_lists = false;
  };

  SettingsFile(std::string kind, std::string name)
      : kind_(std::move(kind)), name_(std::move(name)) {}

  // Throws UsageError: "config 'NAME' WHAT".
  [[noreturn]] void fail(const std::string& what) const;

  // Fails for what is not JSON or of another shape, and for a key that stands twice.
  Json parse(std::string_view text, const Shape& shape) const;

  // A value as it would be typed. Fails where it is no text, number, true or false.
  std::string spelled(const std::string& key, const Json& value) const;

 private:
  std::string kind_;
  std::string name_;
};

// The content of the file at `path`. Throws UsageError where it cannot be read or is large.
std::string read_settings(const std::string& kind, const std::string& path);

}  // namespace sbp::experiments
