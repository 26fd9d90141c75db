// What versions of PyTorch do differently, as keys of the card.
#include <doctest/doctest.h>

#include <string>

#include "profiler/predict/device_profile.h"
#include "profiler/predict/replay.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::predict;

namespace {

using Kind = Workload::Event::Kind;

constexpr std::int64_t kMap = std::int64_t{64} << 20;

Workload::Operation softmax(std::uint32_t read, std::uint32_t written) {
  return {.what = {.kind = profiler::OperationKind::softmax}, .read = read, .written = written};
}

// Two attentions: scores 0 become map 1, scores 2 map 3; the scores go at once, the maps in
// backward, with a gradient 4 beside the last one.
Workload two_maps() {
  Workload workload;
  for (int i = 0; i < 5; ++i) workload.blocks.push_back({.bytes = kMap});
  workload.operations = {softmax(0, 1), softmax(2, 3)};
  workload.events = {{Kind::allocate, 0},  {Kind::allocate, 1}, {Kind::operation, 0},
                     {Kind::free, 0},      {Kind::allocate, 2}, {Kind::allocate, 3},
                     {Kind::operation, 1}, {Kind::free, 2},     {Kind::allocate, 4},
                     {Kind::free, 3},      {Kind::free, 4},     {Kind::free, 1}};
  return workload;
}

ReplayResult replayed(const std::string& device) {
  return replay(two_maps(), parse_device_profile(device), {});
}

}  // namespace

TEST_CASE("up to PyTorch 1.10 softmax's input goes when its result does") {
  CHECK(replayed("a100").peak_requested_bytes == 3 * kMap);
  for (const char* version : {"1.10", "1.8", "1.0"}) {
    CHECK(replayed(concat("a100:torch=", version)).peak_requested_bytes == 5 * kMap);
  }
  for (const char* version : {"1.11", "2", "2.14"}) {
    CHECK(replayed(concat("a100:torch=", version)).peak_requested_bytes == 3 * kMap);
  }
  // Nothing stays for good: the same again fits into the same.
  Workload twice = two_maps();
  const auto events = twice.events;
  twice.events.insert(twice.events.end(), events.begin(), events.end());
  CHECK(replay(twice, parse_device_profile("a100:torch=1.10"), {}).peak_requested_bytes ==
        5 * kMap);
}

TEST_CASE("the version is part of the resolved spec, and others are refused") {
  const DeviceProfile old = parse_device_profile("a100:torch=1.10");
  CHECK(old.torch == "1.10");
  CHECK(parse_device_profile(to_string(old)).torch == "1.10");
  for (const char* version : {"1", "3.0", "1.", ".10", "1.10.1", "-1.2", "1.-2", "new"}) {
    CAPTURE(version);
    CHECK_THROWS_AS(parse_device_profile(concat("a100:torch=", version)), UsageError);
  }
}
