#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "experiments/data/event_file.h"
#include "tests/experiments/scratch_folder.h"

using namespace sbp::experiments;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;

namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

}  // namespace

TEST_CASE("event file: CRC-32C of RFC 3720's examples") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283U);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAU);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43U);
}

TEST_CASE("event file: a record is length, sum, data, sum, the sums masked") {
  // The sums were computed with another program, from the definition.
  const std::string record = framed_record("abc");
  REQUIRE(record.size() == 8 + 4 + 3 + 4);
  CHECK(record.substr(0, 8) == bytes({3, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(record.substr(8, 4) == bytes({0xB0, 0x99, 0x49, 0x0E}));
  CHECK(record.substr(12, 3) == "abc");
  CHECK(record.substr(15, 4) == bytes({0x6E, 0x57, 0xF1, 0x21}));
}

TEST_CASE("event file: messages, byte for byte") {
  // 1.5 as a double and -2 as a float.
  const std::string wall = bytes({0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F});
  CHECK(version_event(1.5) == wall + bytes({0x1A, 13}) + "brain.Event:2");
  CHECK(scalars_event({.wall_seconds = 1.5, .step = 300}, {{"ab", -2.0}}) ==
        wall + bytes({0x10, 0xAC, 0x02}) +          // step, 300 = 2 * 128 + 44
            bytes({0x2A, 11}) + bytes({0x0A, 9}) +  // summary, value
            bytes({0x0A, 2}) + "ab" +               // tag
            bytes({0x15, 0, 0, 0, 0xC0}));          // simple_value
  CHECK(restart_event({.wall_seconds = 1.5, .step = 7}) ==
        wall + bytes({0x10, 7}) + bytes({0x3A, 2, 0x08, 1}));
}

TEST_CASE("event file: each run has its own file, and each event is written at once") {
  const ScratchFolder folder;
  EventFile first(folder.path(), std::nullopt);
  const EventFile second(folder.path(), 3);
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(folder.path()), {});
  };
  CHECK(files() == 2);
  const auto size = [&] {
    std::uintmax_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      CHECK(entry.path().filename().string().starts_with("events.out.tfevents."));
      sum += entry.file_size();
    }
    return sum;
  };
  const auto before = size();
  first.add(1, {{"loss", 0.5}});
  CHECK(size() - before == framed_record(scalars_event({0.0, 1}, {{"loss", 0.5}})).size());
}

TEST_CASE("event file: a folder that is not there") {
  const ScratchFolder folder;
  CHECK(contains(error_text([&] { EventFile(folder.path("none"), std::nullopt); }),
                 "No such file or directory"));
}
