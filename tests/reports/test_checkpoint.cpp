#include <doctest/doctest.h>

#include "reports/checkpoint.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

Checkpoint sample() {
  return {.step = 32,
          .epoch = 2,
          .batch_in_epoch = 5,
          .tensors = {.name = "step-00000032.safetensors", .bytes = 123, .checksum = "crc32:1"},
          .scalars = {{"epoch.loss_sum", 1.0 / 3.0}, {"scaler.scale", 65536.0}},
          .report = tests::sample_training()};
}

std::string refusal(std::string text) {
  try {
    parse_checkpoint(text, "c.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t place = text.find(from);
  REQUIRE(place != std::string::npos);
  return text.replace(place, from.size(), to);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a checkpoint is read back to the last bit") {
  CHECK(parse_checkpoint(to_json(sample()), "c.json") == sample());
}

TEST_CASE("a broken checkpoint is refused with what is wrong") {
  const std::string good = to_json(sample());
  CHECK(contains(refusal(""), "cannot read checkpoint 'c.json': it is not JSON"));
  CHECK(contains(refusal(good.substr(0, good.size() / 2)), "not JSON, or truncated"));
  CHECK(contains(refusal("[]"), "'schema' is missing"));
  CHECK(contains(refusal(std::string(100000, '[')), "nests deeper"));
  CHECK(contains(refusal(replaced(good, "sbp-checkpoint", "x")), "its schema is 'x'"));
  CHECK(contains(
      refusal(replaced(good, "\"schema_version\": \"1.0\"", "\"schema_version\": \"2.0\"")),
      "its schema_version is '2.0'"));
  CHECK(contains(refusal(replaced(good, "\"step\": 32", "\"step\": -1")),
                 "'step' is not a whole number"));
  CHECK(contains(refusal(replaced(good, "\"step\": 32", "\"stop\": 32")), "'step' is missing"));
  CHECK(contains(refusal(replaced(good, "65536.0", "\"x\"")),
                 "'scalars.scaler.scale' is not a number"));
  CHECK(contains(refusal(replaced(good, "65536.0", "1e999")), "number"));
  CHECK(contains(refusal(replaced(good, "\"kind\": \"train\"", "\"kind\": \"profile\"")),
                 "cannot read report 'c.json'"));
}

TEST_CASE("checkpoints cut short anywhere are refused") {
  const std::string good = to_json(sample());
  for (std::size_t size = 0; size + 2 < good.size(); size += 97) {
    CHECK(refusal(good.substr(0, size)) != "");
  }
}
