#include <doctest/doctest.h>

#include <string>

#include "experiments/recipes/device_file.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::experiments;

namespace {

std::string complaint(std::string_view text) {
  try {
    (void)parse_device_file(text, "gpu.json");
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a GPU's file is a card and what differs from it") {
  CHECK(parse_device_file(R"({"about": "ours", "gpu": "a100", "memory": "40GiB"})", "gpu.json") ==
        "a100:memory=40GiB");
  CHECK(parse_device_file(R"({"torch": "1.10", "gpu": "rtx3060", "context": 12})", "gpu.json") ==
        "rtx3060:torch=1.10,context=12");
  CHECK(parse_device_file(R"({"gpu": "l4"})", "gpu.json") == "l4");
}

TEST_CASE("a GPU's file of another form is one sentence") {
  CHECK(complaint("") == "GPU file 'gpu.json' is not JSON at byte 1");
  CHECK(complaint("[]").starts_with("GPU file 'gpu.json' has a list in it"));
  CHECK(complaint("7") == "GPU file 'gpu.json' is not a JSON object");
  CHECK(complaint(R"({"memory": "40GiB"})").starts_with("GPU file 'gpu.json' has no 'gpu'"));
  CHECK(complaint(R"({"gpu": 7})") == "GPU file 'gpu.json' has a 'gpu' that is not a text");
  CHECK(complaint(R"({"gpu": "a100", "memory": null})").find("'memory'") != std::string::npos);
  CHECK(complaint(R"({"gpu": "a100", "memory": {}})") ==
        "GPU file 'gpu.json' nests; its values are sizes");
  CHECK(complaint(R"({"gpu": "a100", "gpu": "l4"})") ==
        "GPU file 'gpu.json' has the key 'gpu' twice");
}

TEST_CASE("a GPU's file cannot say more than its keys do") {
  const std::string end =
      "'; none of the signs : , = + \" may stand in it, each key stands by itself";
  CHECK(complaint(R"({"gpu": "a100", "memory=5GiB,context": "1"})") ==
        "GPU file 'gpu.json' has a key that is 'memory=5GiB,context" + end);
  CHECK(complaint(R"({"gpu": "a100:memory=1GiB"})") ==
        "GPU file 'gpu.json' has a 'gpu' that is 'a100:memory=1GiB" + end);
  CHECK(complaint(R"({"gpu": "a100", "memory": "5GiB,context=1"})") ==
        "GPU file 'gpu.json' has a 'memory' that is '5GiB,context=1" + end);
  for (const char* sign : {":", ",", "=", "+", "\\\""}) {
    CHECK(complaint(R"({"gpu": "a)" + std::string(sign) + R"("})").ends_with(end));
  }
  // As if it were not there, it would be the card's own.
  CHECK(complaint(R"({"gpu": "a100", "memory": ""})") ==
        "GPU file 'gpu.json' has a 'memory' that is empty");
  CHECK(complaint(R"({"gpu": "a100", "": "1"})") == "GPU file 'gpu.json' has a key that is empty");
  CHECK(complaint(R"({"gpu": ""})") == "GPU file 'gpu.json' has a 'gpu' that is empty");
}
