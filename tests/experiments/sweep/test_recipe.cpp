#include <doctest/doctest.h>

#include "experiments/sweep/recipe.h"
#include "tests/experiments/scratch_folder.h"

using namespace sbp;
using namespace sbp::sweep;

namespace {

std::string complaint(const std::string& text) {
  return tests::error_text([&] { (void)parse_recipe(text, "r.json"); });
}

}  // namespace

TEST_CASE("sweep: a recipe is read whole") {
  const Recipe recipe = parse_recipe(
      R"({"about": "a", "paper": "p", "command": "profile", "base": {"batch": 8, "flip": true},
          "axes": {"strategy": ["full", "sbp"], "strategy.sbp.keep": [0.25, "0.5"]},
          "exclude": [{"strategy": "sbp", "strategy.sbp.keep": 0.25}], "repeats": 2,
          "equal_peak": true})",
      "r.json");
  CHECK(recipe.about == "a");
  CHECK(recipe.paper == "p");
  CHECK(recipe.command == "profile");
  CHECK(recipe.base == std::vector<Setting>{{"batch", "8"}, {"flip", "true"}});
  REQUIRE(recipe.axes.size() == 3);
  CHECK(recipe.axes[0].name == "strategy");
  CHECK(recipe.axes[1].values == std::vector<std::string>{"0.25", "0.5"});
  CHECK(recipe.axes[2].name == "seed");
  CHECK(recipe.axes[2].values == std::vector<std::string>{"1", "2"});
  CHECK(recipe.exclude ==
        std::vector<std::vector<Setting>>{{{"strategy", "sbp"}, {"strategy.sbp.keep", "0.25"}}});
  CHECK(recipe.equal_peak);
  CHECK_FALSE(parse_recipe("{}", "r.json").equal_peak);
}

TEST_CASE("sweep: a recipe of another form is refused") {
  CHECK(complaint("") == "recipe 'r.json' is not JSON at byte 1");
  CHECK(complaint("[]") == "recipe 'r.json' is not a JSON object");
  CHECK(complaint("{\"axis\": {}}").find("has the key 'axis'; it may have") != std::string::npos);
  CHECK(complaint("{\"axes\": {\"seed\": 1}}") ==
        "recipe 'r.json' has an axis 'seed' that is not a list of values");
  CHECK(complaint("{\"axes\": {\"seed\": [[1]]}}") ==
        "recipe 'r.json' gives 'seed' the value [1]; it must be a text, a number, true or false");
  CHECK(complaint("{\"axes\": {\"seed\": [1], \"seed\": [2]}}") ==
        "recipe 'r.json' has the key 'seed' twice");
  CHECK(complaint("{\"axes\": {\"seed\": [1]}, \"repeats\": 2}") ==
        "recipe 'r.json' has both 'repeats' and an axis 'seed'; give one of them");
  CHECK(complaint("{\"repeats\": 0}").find("a whole number from 1") != std::string::npos);
  CHECK(complaint("{\"repeats\": 1.5}").find("a whole number from 1") != std::string::npos);
  CHECK(complaint("{\"repeats\": 1e300}").find("a whole number from 1") != std::string::npos);
  CHECK(complaint("{\"exclude\": [{}]}").find("every point") != std::string::npos);
  CHECK(complaint("{\"base\": {\"batch\": null}}").find("must be a text") != std::string::npos);
  CHECK(complaint("{\"about\": 1}").find("is not a text") != std::string::npos);
  CHECK(complaint("{\"equal_peak\": 1}").find("neither true nor false") != std::string::npos);
  CHECK(complaint("{\"axes\": {\"seed\": [1e999]}}").find("larger than any") != std::string::npos);
  CHECK(complaint(std::string(5000, '[')).find("nests deeper") != std::string::npos);
  CHECK(complaint(std::string("{}\0", 3)).find("not a text file") != std::string::npos);
}

TEST_CASE("sweep: a recipe that is no file is refused") {
  const tests::ScratchFolder folder;
  CHECK(tests::error_text([&] {
          (void)read_recipe(folder.path("none.json"));
        }).find("cannot read recipe") == 0);
  CHECK(tests::error_text([&] { (void)read_recipe(folder.path()); }).find("cannot read recipe") ==
        0);
  CHECK(read_recipe(folder.write("r.json", "{\"about\": \"x\"}")).about == "x");
}

TEST_CASE("sweep: an axis of the command line") {
  const auto axis = parse_axis("strategy=full|sbp:note=\"a|b\"|x=y");
  CHECK(axis.name == "strategy");
  CHECK(axis.values == std::vector<std::string>{"full", "sbp:note=\"a|b\"", "x=y"});
  CHECK_THROWS_AS(parse_axis("seed"), UsageError);
  CHECK_THROWS_AS(parse_axis("=1"), UsageError);
  CHECK(parse_axis("seed=").values == std::vector<std::string>{""});
}
