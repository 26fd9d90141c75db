#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/chrome_trace.h"
#include "reports/memory_events.h"
#include "reports/memory_pickle.h"
#include "reports/pickle.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;
using profiler::BlockLife;
using profiler::Category;

namespace {

std::string hex(const std::string& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4U];
    text += kDigits[static_cast<unsigned char>(byte) & 15U];
  }
  return text;
}

}  // namespace

TEST_CASE("plain data as a pickle, opcode by opcode") {
  Pickle pickle;
  pickle.dict();
  pickle.text("a");
  pickle.list();
  pickle.integer(255);
  pickle.append();
  pickle.integer(-2);
  pickle.append();
  pickle.integer(std::int64_t{1} << 40);
  pickle.append();
  pickle.text("a");
  pickle.append();
  pickle.set_item();
  CHECK(hex(std::move(pickle).take()) ==
        "8002"            // protocol 2
        "7d"              // {}
        "58010000006171"  // 'a', remembered
        "00"              // as 0
        "5d"              // []
        "4bff61"          // 255
        "4afeffffff61"    // -2
        "8a08000000000001000061"
        "680061"  // 'a' again
        "73"      // item of the dict
        "2e");
}

TEST_CASE("at one record a death comes before a birth") {
  profiler::BlockLives blocks;
  blocks.lives.resize(2);
  blocks.lives[0].born_record = 1;
  blocks.lives[0].died_record = 3;
  blocks.lives[1].born_record = 3;
  const std::vector<MemoryEvent> events = memory_events(blocks);
  REQUIRE(events.size() == 3);
  CHECK_FALSE(events[1].birth);
  CHECK(events[1].block == 0);
  CHECK(events[2].block == 1);
}

TEST_CASE("what cannot be exported is said, with the remedy") {
  ProfileReport profile = tests::sample_profile_with_blocks();
  CHECK_NOTHROW(profile_with_blocks({"p.json", profile}));
  profile.memory.blocks->lives[0].bytes += 1;
  CHECK_THROWS_WITH_AS(profile_with_blocks({"p.json", profile}),
                       "cannot export 'p.json': its blocks add up to a peak of 3145729 bytes, and "
                       "it says 3145728",
                       Error);
  profile.memory.blocks.reset();
  CHECK_THROWS_WITH_AS(profile_with_blocks({"p.json", profile}),
                       "cannot export 'p.json': it does not hold the lives of its blocks; profile "
                       "again with --blocks",
                       Error);
  CHECK_THROWS_WITH_AS(profile_with_blocks({"t.json", tests::sample_training()}),
                       "cannot export 't.json' of kind 'train'; give a report of sbp-profile "
                       "--blocks",
                       Error);
}

TEST_CASE("the counters of a Chrome trace replay to the peak and to each category's bytes") {
  const ProfileReport profile = tests::sample_profile_with_blocks();
  const auto trace = nlohmann::json::parse(chrome_trace(profile));
  std::int64_t peak = 0, activation_at_peak = 0, activation = 0, open = 0;
  double time = 0.0;
  std::vector<std::string> phases;
  for (const auto& event : trace["traceEvents"]) {
    const std::string kind = event["ph"], name = event["name"];
    if (kind == "X") phases.push_back(name);
    if (kind == "b") ++open;
    if (kind == "e") --open;
    if (kind != "C") continue;
    CHECK(event["ts"].get<double>() >= time);
    time = event["ts"].get<double>();
    const std::int64_t bytes = event["args"]["bytes"];
    if (name == "live: activation") activation = bytes;
    if (name == "live bytes" && bytes > peak) peak = bytes;
    if (name == "live: activation" && peak == 3145728) {
      activation_at_peak = std::max(activation_at_peak, activation);
    }
  }
  CHECK(peak == profile.memory.peak.bytes);
  CHECK(activation_at_peak == 2097152);
  CHECK(phases == std::vector<std::string>{"setup", "forward", "backward"});
  CHECK(open == 0);
}

TEST_CASE("a layer's name in a Chrome trace is text") {
  ProfileReport profile = tests::sample_profile_with_blocks();
  profile.memory.blocks->lives[1].layer = "<script>\"\n\xff";
  const auto trace = nlohmann::json::parse(chrome_trace(profile));
  const bool found = std::ranges::any_of(trace["traceEvents"], [](const auto& event) {
    return event["name"] == "<script>\"\n\xef\xbf\xbd";
  });
  CHECK(found);
}

TEST_CASE("blocks of a CUDA device that do not come to its sums are not exported") {
  const ProfileReport right = tests::sample_device_profile();
  CHECK_NOTHROW(memory_pickle(right));
  const auto refusal = [&](const auto& damage) {
    ProfileReport report = right;
    damage(*report.device_memory, *report.device_memory->blocks);
    std::string text = "none";
    try {
      memory_pickle(report);
    } catch (const Error& error) {
      text = error.what();
    }
    return text;
  };
  using Log = profiler::AllocatorLog;
  const std::string sum = "cannot export the blocks: they add up to a peak of ";
  CHECK(refusal([](DeviceMemory& memory, Log&) { ++memory.requested_bytes; }) ==
        sum + "2098152 bytes requested, and the report says 2098153");
  CHECK(refusal([](DeviceMemory& memory, Log&) { ++memory.peak_reserved_bytes; }) ==
        sum + "23068672 bytes reserved, and the report says 23068673");
  CHECK(refusal([](DeviceMemory&, Log& log) { log.blocks[0].block_bytes += 512; }) ==
        sum + "2099200 bytes allocated, and the report says 2098688");
  CHECK(refusal([](DeviceMemory&, Log& log) { log.blocks[1].block_bytes += 512; }) ==
        sum + "1024 bytes awaiting a stream, and the report says 512");
  CHECK(refusal([](DeviceMemory&, Log& log) { log.blocks[2].address -= 1; }) ==
        "cannot export the blocks: one of them lies in no segment");
  CHECK(refusal([](DeviceMemory&, Log& log) { log.blocks[2].address += 10 * 2097152 - 512; }) ==
        "cannot export the blocks: one of them ends behind its segment");
  CHECK(refusal([](DeviceMemory& memory, Log& log) {
          log.segments.push_back(
              {8, profiler::SegmentChange::freed, profiler::PoolKind::large, 1, 1});
          log.event_ns.push_back(9000);
          memory.balanced = false;
        }) == "cannot export the blocks: 1 bytes at 1 are given back and are not held");
}
