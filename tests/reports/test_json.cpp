#include <doctest/doctest.h>

#include <limits>

#include "reports/json.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

ProfileReport profile_again(const ProfileReport& report) {
  return std::get<ProfileReport>(parse_report(to_json(report), "test"));
}

TrainReport training_again(const TrainReport& report) {
  return std::get<TrainReport>(parse_report(to_json(report), "test"));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a profile written and read is the same") {
  const ProfileReport report = tests::sample_profile();
  CHECK(profile_again(report) == report);
}

TEST_CASE("a training report written and read is the same") {
  const TrainReport report = tests::sample_training();
  CHECK(training_again(report) == report);
}

TEST_CASE("reports with nothing in them are written and read") {
  CHECK(profile_again({}) == ProfileReport{});
  CHECK(training_again({}) == TrainReport{});
}

TEST_CASE("every double comes back to the last bit") {
  TrainReport report = tests::sample_training();
  report.step_losses = {0.1,
                        1.0 / 3.0,
                        std::numeric_limits<double>::denorm_min(),
                        std::numeric_limits<double>::max(),
                        -0.0,
                        3.0};
  CHECK(training_again(report).step_losses == report.step_losses);
}

TEST_CASE("a report begins with what every report has, in this order") {
  const std::string json = to_json(tests::sample_profile());
  std::size_t last = 0;
  for (const char* key : {"schema", "schema_version", "kind", "command_line", "configuration",
                          "environment", "warnings", "model", "strategy", "plan", "memory"}) {
    const std::size_t place = json.find("\n  \"" + std::string(key) + "\": ");
    REQUIRE_MESSAGE(place != std::string::npos, key);
    CHECK_MESSAGE((place > last || last == 0), key);
    last = place;
  }
  CHECK(
      json.starts_with("{\n  \"schema\": \"sbp-report\",\n  \"schema_version\": \"1.0\",\n"
                       "  \"kind\": \"profile\",\n"));
  CHECK(json.ends_with("\n}\n"));
}

TEST_CASE("rows of a table stay on one line") {
  const std::string json = to_json(tests::sample_profile());
  CHECK(
      contains(json, "\n      {\"time_ns\": 0, \"live_bytes\": 1048576, \"phase\": \"setup\"},\n"));
  CHECK(contains(to_json(tests::sample_training()),
                 "\n  \"step_losses\": [2.302, 0.3333333333333333, 1.5]\n"));
}

TEST_CASE("hostile texts are written and read") {
  ProfileReport report = tests::sample_profile();
  report.header.command_line = {"quote\" back\\slash",
                                "new\nline\ttab",
                                std::string("nul\0nul", 7),
                                "\x1b[31m",
                                "größe \xF0\x9F\x98\x80",
                                "</script>",
                                ""};
  report.memory.layers[0].name = "a.\"b\"\n";
  report.header.configuration.emplace_back("odd \"key\"", std::string("x"));
  CHECK(profile_again(report) == report);
}

TEST_CASE("bytes that are not UTF-8 are replaced, not thrown at") {
  ProfileReport report = tests::sample_profile();
  report.header.command_line = {"file\xff\xfe.json"};
  report.header.configuration.emplace_back("key\xc3", std::string("\x80"));
  const ProfileReport again = profile_again(report);
  CHECK(again.header.command_line[0] == "file\xEF\xBF\xBD\xEF\xBF\xBD.json");
  CHECK(again.header.configuration.back().first == "key\xEF\xBF\xBD");
}

TEST_CASE("numbers that are not finite become null with a reason, and come back") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  TrainReport report = tests::sample_training();
  report.epochs[0].train_loss = kInfinity;
  report.epochs[1].train_loss = -kInfinity;
  report.final_evaluation->loss = std::numeric_limits<double>::quiet_NaN();
  report.header.configuration.emplace_back("rate", kInfinity);
  report.step_losses = {1.0, std::numeric_limits<double>::quiet_NaN(), kInfinity};
  const std::string json = to_json(report);
  CHECK(contains(json, "\"train_loss\": null,\n      \"train_loss_reason\": \"infinite\""));
  CHECK(contains(json, "\"loss\": null,\n    \"loss_reason\": \"not a number\""));
  CHECK(contains(json, "\"step_losses\": [1.0, null, null]"));
  CHECK(contains(json, "\"step_losses_reason\": "));
  CHECK_FALSE(contains(json, "nan"));

  const TrainReport again = training_again(report);
  CHECK(again.epochs[0].train_loss == kInfinity);
  CHECK(again.epochs[1].train_loss == -kInfinity);
  CHECK(again.final_evaluation->loss != again.final_evaluation->loss);
  CHECK(again.header.configuration == report.header.configuration);
  CHECK(again.step_losses.size() == 3);
  CHECK(again.step_losses[1] != again.step_losses[1]);
}

TEST_CASE("the memory of a CUDA device is written and read, and null elsewhere") {
  ProfileReport report = tests::sample_profile();
  CHECK(contains(to_json(report),
                 "\"device_memory\": null,\n  \"device_memory_reason\": \"the run "
                 "was on no CUDA device\""));
  DeviceMemory memory{.requested_bytes = 1000,
                      .rounding_bytes = 24,
                      .awaiting_bytes = 512,
                      .cached_bytes = 512,
                      .reserved_bytes = 2048,
                      .unseen_bytes = 77,
                      .peak_reserved_bytes = 4096,
                      .nameless_bytes = 300,
                      .unseen = {{"device", "blocks.3.mlp", "/lib/libcudnn.so", 77, 2}},
                      .cupti_reason = {},
                      .balanced = true,
                      .first_problem = {}};
  report.device_memory = memory;
  CHECK(profile_again(report) == report);
  memory.nameless_bytes.reset();
  memory.cupti_reason = "CUPTI: no NVIDIA driver answers";
  memory.balanced = false;
  memory.first_problem = "the allocator counts 512 reserved bytes at the end, its events sum to 0";
  memory.unseen.clear();
  report.device_memory = memory;
  CHECK(profile_again(report) == report);
  CHECK(contains(to_json(report), "\"cupti\": null"));
  CHECK(contains(to_json(report), "\"blocks_reason\": \"not kept; sbp-profile --blocks"));
  report.device_memory->blocks_reason = "its blocks do not add up";
  CHECK(profile_again(report) == report);
}

TEST_CASE("the blocks of a CUDA device come back as they were") {
  const ProfileReport report = tests::sample_device_profile();
  CHECK(profile_again(report) == report);
}

TEST_CASE("what a dry run does not know is null, with the reason") {
  ProfileReport report = tests::sample_profile();
  for (auto& [key, value] : report.header.configuration) {
    if (key == "device") value = std::string("meta");
  }
  report.loss.reset();
  report.time.reset();
  report.resident_set.reset();
  report.tracing_seconds.reset();
  const std::string json = to_json(report);
  CHECK(contains(json, "\"loss\": null,\n  \"loss_reason\": \"the meta device computes nothing\""));
  CHECK(contains(json, "\"time\": null,\n  \"time_reason\": \"the meta device computes nothing\""));
  CHECK(contains(json, "\"resident_set\": null,\n  \"resident_set_reason\": \"not measured\""));
  CHECK(profile_again(report) == report);
}

TEST_CASE("an interrupted training without results is written and read") {
  TrainReport report = tests::sample_training();
  report.interrupted = true;
  report.final_evaluation.reset();
  report.memory.reset();
  report.epochs.clear();
  const std::string json = to_json(report);
  CHECK(contains(json, "\"interrupted\": true"));
  CHECK(contains(json, "\"final_evaluation_reason\": \"interrupted before the evaluation\""));
  CHECK(training_again(report) == report);
}

TEST_CASE("the plan alone has the keys of a report's plan") {
  const ProfileReport report = tests::sample_profile();
  const std::string json = plan_json(report.plan, report.strategy);
  CHECK(json.starts_with("{\n  \"strategy\": {\n    \"spec\": \"sbp:keep=0.5\",\n"));
  CHECK(contains(json, "\n    {\"site\": \"blocks.0.attn\", \"kind\": \"attention\", "));
  CHECK(contains(json, "\"keep_ratio\": null, \"keep_ratio_reason\": "));
}
