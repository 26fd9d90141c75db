#include <doctest/doctest.h>

#include <string>

#include "reports/json.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

// The sentence that reading `json` ends with; empty when it is read.
std::string complaint(const std::string& json) {
  try {
    (void)parse_report(json, "run.json");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::failed);
    return error.what();
  }
  return {};
}

std::string replaced(std::string text, const std::string& old_part, const std::string& new_part) {
  const std::size_t place = text.find(old_part);
  REQUIRE(place != std::string::npos);
  return text.replace(place, old_part.size(), new_part);
}

const std::string& profile_json() {
  static const std::string json = to_json(tests::sample_profile());
  return json;
}

}  // namespace

TEST_CASE("what is not JSON is refused with the place") {
  CHECK(complaint("") == "cannot read report 'run.json': it is empty");
  CHECK(complaint(" \n ") == "cannot read report 'run.json': it is empty");
  CHECK(complaint("hello") == "cannot read report 'run.json': it is not JSON at line 1, column 1");
  CHECK(complaint("{\n  \"a\": 1,\n  b\n}") ==
        "cannot read report 'run.json': it is not JSON at line 3, column 3");
}

TEST_CASE("a report cut anywhere is refused") {
  const std::string& json = profile_json();
  // All cuts of the last bytes, and some everywhere.
  for (std::size_t size = 1; size + 2 < json.size(); size += size + 60 < json.size() ? 97 : 1) {
    const std::string sentence = complaint(json.substr(0, size));
    CHECK_MESSAGE(sentence.find("cannot read report 'run.json': ") == 0, size);
  }
  CHECK(complaint(json.substr(0, json.size() - 2)).find("it is truncated") != std::string::npos);
  CHECK(complaint("{\"schema\": \"sbp") ==
        "cannot read report 'run.json': it is truncated, it ends in the middle at line 1, "
        "column 16");
}

TEST_CASE("NaN and infinity are named") {
  CHECK(complaint("{\n  \"loss\": NaN\n}") ==
        "cannot read report 'run.json': NaN or infinity at line 2, column 11 is not JSON; unknown "
        "numbers are written as null");
  CHECK(complaint("{\"loss\": -Infinity}").find("NaN or infinity at line 1, column 10") !=
        std::string::npos);
  CHECK(complaint("{\"loss\": 1e999}") ==
        "cannot read report 'run.json': it holds a number that is too large");
}

TEST_CASE("JSON that is not a report is refused") {
  CHECK(complaint("[1, 2]") ==
        "cannot read report 'run.json': it is not a report, it has no schema");
  CHECK(complaint("{}") == "cannot read report 'run.json': it is not a report, it has no schema");
  CHECK(complaint("{\"schema\": \"other\"}") ==
        "cannot read report 'run.json': schema is 'other', not 'sbp-report'");
  CHECK(complaint("{\"schema\": 3}") ==
        "cannot read report 'run.json': schema must be a text, not number");
  CHECK(complaint(replaced(profile_json(), "\"kind\": \"profile\"", "\"kind\": \"poem\"")) ==
        "cannot read report 'run.json': kind is 'poem', not one of profile, train, correlate, "
        "sweep, prediction");
}

TEST_CASE("another major version is refused, a later minor one is read") {
  const std::string version = "\"schema_version\": \"1.0\"";
  CHECK(complaint(replaced(profile_json(), version, "\"schema_version\": \"2.0\"")) ==
        "cannot read report 'run.json': schema_version is '2.0', this program reads versions 1.x");
  CHECK(complaint(replaced(profile_json(), version, "\"schema_version\": \"10.0\"")) != "");
  CHECK(complaint(replaced(profile_json(), version, "\"schema_version\": \"1.7\", \"new\": 1")) ==
        "");
}

TEST_CASE("missing and mistyped keys are named by their path") {
  CHECK(complaint(replaced(profile_json(), "\"logical_bytes\": ", "\"logical_byte\": ")) ==
        "cannot read report 'run.json': memory.saved.logical_bytes is missing");
  CHECK(complaint(
            replaced(profile_json(), "\"own_peak_bytes\": 2097152", "\"own_peak_bytes\": \"2\"")) ==
        "cannot read report 'run.json': memory.layers[1].own_peak_bytes must be a whole number, "
        "not string");
  CHECK(complaint(replaced(profile_json(), "\"balanced\": true", "\"balanced\": 1")) ==
        "cannot read report 'run.json': memory.ledger.balanced must be true or false, not number");
  CHECK(complaint(replaced(profile_json(), "\"peak_bytes\": 3145728", "\"peak_bytes\": 3.5")) ==
        "cannot read report 'run.json': memory.peak_bytes must be a whole number, not number");
  CHECK(complaint(replaced(profile_json(), "\"peak_bytes\": 3145728",
                           "\"peak_bytes\": 18446744073709551615")) ==
        "cannot read report 'run.json': memory.peak_bytes is too large for a whole number of 64 "
        "bits");
  CHECK(complaint(replaced(profile_json(), "\"peak_phase\": \"backward\"",
                           "\"peak_phase\": \"sideways\"")) ==
        "cannot read report 'run.json': memory.peak_phase is 'sideways', not one of setup, "
        "forward, backward, optimizer_step, evaluation");
  CHECK(complaint(replaced(profile_json(), "\"peak_time_ns\": 5", "\"peak_time_ns\": -5")) ==
        "cannot read report 'run.json': memory.peak_time_ns is -5000000; it must not be negative");
}

TEST_CASE("a null without a reason is refused") {
  CHECK(complaint(replaced(profile_json(), "\"median\": 0.05", "\"median\": null")) ==
        "cannot read report 'run.json': time.step_seconds.median is null without median_reason");
}

TEST_CASE("deeply nested JSON is refused without harm") {
  CHECK(complaint(std::string(200000, '[')).find("it is truncated") != std::string::npos);
  const std::string closed = std::string(100000, '[') + std::string(100000, ']');
  CHECK(complaint(closed).find("is not a report") != std::string::npos);
}

TEST_CASE("blocks come back as they were, and impossible ones are refused") {
  const ProfileReport profile = tests::sample_profile_with_blocks();
  const std::string json = to_json(profile);
  CHECK(std::get<ProfileReport>(parse_report(json, "run.json")) == profile);
  const auto with = [&](const std::string& old_part, const std::string& new_part) {
    return complaint(replaced(json, old_part, new_part));
  };
  const std::string place = "cannot read report 'run.json': memory.blocks.rows[1]";
  CHECK(with("[3, 2000, 7, 6500, ", "[3, 2000, 3, 6500, ") == place + "[2] is not after its birth");
  CHECK(with("[3, 2000, 7, 6500, ", "[3, 2000, -1, 6500, ") ==
        place + "[3] is a time, and the block did not die");
  CHECK(with("6500, 2097152, ", "6500, -1, ") == place + " has an impossible size");
  CHECK(with("6500, 2097152, ", "6500, 9223372036854775807, ") ==
        place + " has an impossible size");
  CHECK(with("[3, 2000, 7, 6500, ", "[0, 2000, 7, 6500, ") ==
        place + " was not born after the block before it");
  CHECK(with("[3, 2000, 7, 6500, ", "[3, 7, 6500, ") == place + " has 8 values, not 9");
  CHECK(with("\"activation\", \"forward\"", "\"activation\", \"forwards\"")
            .find("is 'forwards', not one of setup, forward") != std::string::npos);
  CHECK(with("\"born_ns\", ", "").find("memory.blocks.columns must be born_record, ") !=
        std::string::npos);
}

TEST_CASE("impossible blocks of a CUDA device are refused") {
  const std::string json = to_json(tests::sample_device_profile());
  const auto with = [&](const std::string& old_part, const std::string& new_part) {
    return complaint(replaced(json, old_part, new_part));
  };
  const std::string place = "cannot read report 'run.json': device_memory.blocks.";
  const std::string row = "\"unknown\", 0, \"setup\", \"\", false, ";
  CHECK(with(row + "3]", row + "2]") ==
        place + "rows[1][10] does not lie between its birth and its death");
  CHECK(with(row + "3]", row + "-1]") ==
        place + "rows[1][10] does not lie between its birth and its death");
  CHECK(with(row + "3]", row + "5]") == place + "rows[2] is of event 5, as another is");
  CHECK(with(row + "3]", row.substr(0, row.size() - 2) + "]") ==
        place + "rows[1] has 10 values, not 11");
  CHECK(with("2000, 9000]", "2000]") ==
        place + "event_ns has 7 times, and there are 8 events up to the number 7");
  CHECK(with("1500, 2000, 9000]", "1500, 200, 9000]") == place + "event_ns goes back in time");
  CHECK(with("\"older_events\": 4", "\"older_events\": 9") ==
        place + "older_events is more than there are events");
  CHECK(with("\"layer\", \"saved\", \"free", "\"layer\", \"free")
            .find(place + "columns must be born_event") == 0);
}
