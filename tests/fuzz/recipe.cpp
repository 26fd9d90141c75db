// The recipe of a sweep.
#include "experiments/sweep/recipe.h"

#include <set>

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;

SBP_FUZZ_TARGET(recipe) {
  fuzz::refused_or([&] {
    const auto recipe = sbp::sweep::parse_recipe(fuzz::as_text(input), "input");
    std::set<std::string> names;
    for (const auto& axis : recipe.axes) {
      fuzz::require(names.insert(axis.name).second, "no axis twice");
    }
    for (const auto& exclusion : recipe.exclude) {
      fuzz::require(!exclusion.empty(), "no exclusion of everything");
    }
  });
  fuzz::refused_or([&] {
    const auto axis = sbp::sweep::parse_axis(std::string(fuzz::as_text(input)));
    fuzz::require(!axis.name.empty() && !axis.values.empty(), "an axis has a name and values");
  });
}
