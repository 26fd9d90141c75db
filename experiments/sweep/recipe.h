// The recipe of a sweep: a JSON file. LibTorch-free.
//
//   {"about": "free text", "paper": "what its paper concluded", "command": "train",
//    "base": {"model": "vit:patch=4", "batch": 64},
//    "axes": {"strategy": ["full", "sbp"], "strategy.sbp.keep": [0.25, 0.5]},
//    "exclude": [{"strategy": "sbp", "strategy.sbp.keep": 0.5}],
//    "repeats": 3, "equal_peak": true}
//
// Keys of `base` are long option names without the dashes, as in --config. `repeats: N` is the axis
// seed with the values 1 to N, the last to be listed.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/report.h"

namespace sbp::sweep {

// Name and value, as typed.
using Setting = std::pair<std::string, std::string>;

struct Recipe {
  std::string about;
  std::string paper;
  std::string command;  // empty: not said
  std::vector<Setting> base;
  std::vector<reports::SweepAxis> axes;
  std::vector<std::vector<Setting>> exclude;  // axis and value; a point that has all of them
  bool equal_peak = false;
};

// Throws UsageError naming the file and what is wrong with it: unreadable, not JSON, another form,
// a key twice, a value that no option could take.
Recipe read_recipe(const std::string& path);

// The same for a text; `name` is what errors call it.
Recipe parse_recipe(std::string_view text, const std::string& name);

// "NAME=a|b|c"; a | inside double quotes belongs to a value. Throws UsageError.
reports::SweepAxis parse_axis(const std::string& text);

}  // namespace sbp::sweep
