#include <doctest/doctest.h>

#include <string>

#include "experiments/recipes/option_file.h"
#include "sbp/base/error.h"
#include "tests/experiments/scratch_folder.h"

using namespace sbp;
using namespace sbp::experiments;

namespace {

std::string complaint(std::string_view text) {
  try {
    (void)parse_option_file(text, "a.json");
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("options keep the file's order and spelling") {
  const OptionFile file = parse_option_file(
      R"({"about": "why", "options": {"model": "vit:patch=4", "batch": 64, "flip": true,
          "label-smoothing": 0.1, "rate": 1e-6}})",
      "a.json");
  CHECK(file.about == "why");
  REQUIRE(file.options.size() == 5);
  CHECK(file.options[0] == std::pair<std::string, std::string>("model", "vit:patch=4"));
  CHECK(file.options[1].second == "64");
  CHECK(file.options[2].second == "true");
  CHECK(file.options[3].second == "0.1");
  CHECK(std::stod(file.options[4].second) == 1e-6);
}

TEST_CASE("a config of another form is one sentence") {
  CHECK(complaint("") == "config 'a.json' is not JSON at byte 1");
  CHECK(complaint("{\"options\": {}") == "config 'a.json' is not JSON at byte 15");
  CHECK(complaint("3") == "config 'a.json' is not a JSON object");
  CHECK(complaint("{}") == "config 'a.json' has no object 'options'");
  CHECK(complaint(R"({"options": 3})") == "config 'a.json' has no object 'options'");
  CHECK(complaint(R"({"options": {}, "option": {}})") ==
        "config 'a.json' has the key 'option'; it may have about and options");
  CHECK(complaint(R"({"options": {"batch": 1, "batch": 2}})") ==
        "config 'a.json' has the key 'batch' twice");
  CHECK(complaint(R"({"options": {"batch": null}})") ==
        "config 'a.json' gives 'batch' the value null; it must be a text, a number, true or false");
  CHECK(complaint(R"({"options": {"batch": [1]}})") ==
        "config 'a.json' has a list in it; values are texts, numbers, true and false");
  CHECK(complaint(R"({"options": {"batch": {"of": {"of": 1}}}})") ==
        "config 'a.json' nests deeper than about and options do");
  CHECK(complaint(std::string("{\"options\": {}}\0", 16)) == "config 'a.json' is not a text file");
}

TEST_CASE("a config that cannot be read is said by name") {
  const auto read = [](const std::string& path) {
    try {
      (void)read_option_file(path);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const tests::ScratchFolder folder;
  CHECK(read("/nowhere/a.json") ==
        "cannot read config '/nowhere/a.json'; it must be a readable JSON file");
  CHECK(read("/") != "");
  CHECK(read("/dev/zero") == "config '/dev/zero' is larger than 1 MiB; is it a config?");
}
