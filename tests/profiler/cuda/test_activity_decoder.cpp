#include <doctest/doctest.h>

#include <random>
#include <string>

#include "profiler/cuda/activity_decoder.h"
#include "profiler/cuda/activity_layout.h"
#include "tests/profiler/cuda/buffer_builder.h"

namespace sbp::profiler {
namespace {

using tests::BufferBuilder;

TEST_CASE("activity decoder: nothing holds nothing") {
  const DecodedActivities decoded = decode_activities({});
  CHECK(decoded.records.empty());
  CHECK(decoded.complete_bytes == 0);
  CHECK(!decoded.truncated);
  CHECK(!decoded.unreadable);
}

TEST_CASE("activity decoder: kinds that nobody asked for are stepped over") {
  BufferBuilder builder;
  for (const auto& skipped : layout::kSkippedKinds) builder.record(skipped.kind).call(7);
  const DecodedActivities decoded = decode_activities(builder.bytes());
  CHECK(decoded.skipped_records == std::ssize(layout::kSkippedKinds));
  CHECK(decoded.records.size() == std::size(layout::kSkippedKinds));
  CHECK(decoded.complete_bytes == builder.bytes().size());
}

TEST_CASE("activity decoder: a kind of unknown size ends it, and says so") {
  BufferBuilder builder;
  builder.call(1).record(9999);
  const DecodedActivities decoded = decode_activities(builder.bytes());
  CHECK(decoded.records.size() == 1);
  CHECK(decoded.unreadable ==
        UnreadableRecord{.offset = layout::api::kBytes, .kind = 9999, .bytes_left = 4});
  CHECK(!decoded.truncated);
}

TEST_CASE("activity decoder: zeros after the last record are unreadable, not a record") {
  BufferBuilder builder;
  builder.call(1);
  std::vector<std::byte> bytes(builder.bytes().begin(), builder.bytes().end());
  bytes.resize(bytes.size() + 200);
  const DecodedActivities decoded = decode_activities(bytes);
  CHECK(decoded.records.size() == 1);
  CHECK(decoded.unreadable ==
        UnreadableRecord{.offset = layout::api::kBytes, .kind = 0, .bytes_left = 200});
}

TEST_CASE("activity decoder: a tail too short for its kind has none") {
  BufferBuilder builder;
  builder.call(1).call(2);
  const auto decoded = decode_activities(builder.bytes().first(layout::api::kBytes + 3));
  CHECK(decoded.truncated == TruncatedRecord{.offset = layout::api::kBytes,
                                             .bytes_present = 3,
                                             .whole_bytes = 0,
                                             .kind = std::nullopt});
}

TEST_CASE("activity decoder: text is copied from a live buffer and from no other") {
  std::string symbol = "weights";
  std::string library = "/usr/lib/libfast.so";
  BufferBuilder builder;
  builder.allocate({.address = 1, .bytes = 2});
  builder.u64(layout::memory::kName, reinterpret_cast<std::uint64_t>(symbol.c_str()));
  builder.u64(layout::memory::kSource, reinterpret_cast<std::uint64_t>(library.c_str()));

  const auto live = decode_activities(builder.bytes(), PointedText::copy);
  symbol[0] = '?';  // the buffer's owner goes on
  CHECK(std::get<MemoryActivity>(live.records.at(0)).name == "weights");
  CHECK(std::get<MemoryActivity>(live.records.at(0)).source == "/usr/lib/libfast.so");
  const auto file = decode_activities(builder.bytes());
  CHECK(std::get<MemoryActivity>(file.records.at(0)).name.empty());
  CHECK(std::get<MemoryActivity>(file.records.at(0)).name_pointer != 0);
}

TEST_CASE("activity decoder: the number of an imported pool is a process, else a size") {
  for (const std::uint32_t type : {0u, 1u, 2u, 77u}) {
    BufferBuilder builder;
    builder.allocate({.address = 1, .bytes = 2});
    builder.u32(layout::memory::kPoolType, type).u64(layout::memory::kPoolSizeOrProcess, 4242);
    const auto decoded = decode_activities(builder.bytes());
    const auto& pool = std::get<MemoryActivity>(decoded.records.at(0)).pool;
    CHECK(pool.process_id == (type == 2 ? 4242 : 0));
    CHECK(pool.size_bytes == (type == 2 ? 0 : 4242));
  }
}

// What holds of any bytes.
void check_sound(std::span<const std::byte> bytes) {
  const DecodedActivities decoded = decode_activities(bytes);
  REQUIRE(decoded.offsets.size() == decoded.records.size());
  CHECK(decoded.complete_bytes <= bytes.size());
  const bool told = decoded.truncated.has_value() != decoded.unreadable.has_value();
  CHECK(told == (decoded.complete_bytes != bytes.size()));
  for (std::size_t i = 0; i < decoded.records.size(); ++i) {
    const std::size_t end = decoded.offsets[i] + activity_bytes(activity_kind(decoded.records[i]));
    CHECK(end <= decoded.complete_bytes);
  }
}

TEST_CASE("activity decoder: random bytes are decoded or told of, whatever they are") {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> byte(0, 255);
  std::uniform_int_distribution<std::size_t> length(0, 700);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(length(random));
    for (std::byte& one : bytes) one = static_cast<std::byte>(byte(random));
    // Half of them begin as a record would.
    if (round % 2 == 0 && bytes.size() >= 4) {
      const std::uint32_t kind = static_cast<std::uint32_t>(byte(random)) % 60;
      std::memcpy(bytes.data(), &kind, sizeof(kind));
    }
    check_sound(bytes);
  }
}

TEST_CASE("activity decoder: a good buffer with bytes changed is decoded or told of") {
  const auto good = tests::file_bytes(std::filesystem::path(SBP_SOURCE_DIR) /
                                      "tests/golden/cupti/activity_a.bin");
  REQUIRE(good.size() > 4000);
  std::mt19937 random(2);
  std::uniform_int_distribution<std::size_t> place(0, good.size() - 1);
  std::uniform_int_distribution<int> byte(0, 255);
  for (int round = 0; round < 1000; ++round) {
    auto bytes = good;
    for (int change = 0; change <= round % 8; ++change) {
      bytes[place(random)] = static_cast<std::byte>(byte(random));
    }
    bytes.resize(place(random));
    check_sound(bytes);
  }
}

}  // namespace
}  // namespace sbp::profiler
