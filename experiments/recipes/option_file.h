// The file behind --config: any options of a command, as JSON. LibTorch-free.
//
//   {"about": "free text", "options": {"model": "vit:patch=4", "batch": 64, "flip": true}}
//
// Keys of `options` are long option names without the dashes; values are what would be typed: a
// string, a number, or true for an option that takes no value.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sbp::experiments {

struct OptionFile {
  std::string about;
  // In the file's order. A number is spelled as in the file, true is "true", false "false".
  std::vector<std::pair<std::string, std::string>> options;
};

// Throws UsageError naming the file and what is wrong with it: unreadable, not JSON, another form,
// a key twice, a value that no option could take.
OptionFile read_option_file(const std::string& path);

// The same for a text; `name` is what errors call it.
OptionFile parse_option_file(std::string_view text, const std::string& name);

}  // namespace sbp::experiments
