// Which sites of a model a strategy acts on: the value of its `layers` or `exclude` key.
#pragma once

#include <string_view>
#include <vector>

#include "sbp/site.h"

namespace sbp {

// One word, or a list [a;b] of any of these, whose sites are taken together:
//
//   all          every block
//   released     the blocks that the papers' models drop in: of stages of 3-3-9-3 or 3-3-27-3
//                blocks the first 3-3-6-0 or 3-3-21-0 (their ConvNeXt, In-depth SBP 2022), of
//                others the last round(2/3 of all) (their ViT: 8 of 12)
//   4-11, 7      blocks by index, counted over all stages
//   0.5          that part of all blocks, rounded, from the end
//   *.fc1        sites by name: '*' is any run of signs, dots included. What matches a name
//                matches everything below it too: "blocks.3" names all sites of that block
//
// A site outside the blocks (stem, head) is chosen by its name only.
class LayerChoice {
 public:
  // `subject` names the value in errors ("sbp layers"). Throws UsageError naming the value and
  // what would be right: the valid indices, or the names there are.
  LayerChoice(const SiteTable& sites, std::string_view value, std::string_view subject);

  bool has(SiteId site) const { return chosen_.at(static_cast<std::size_t>(site)); }

 private:
  std::vector<bool> chosen_;  // index = SiteId
};

}  // namespace sbp
