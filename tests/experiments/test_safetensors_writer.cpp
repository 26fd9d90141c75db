#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "experiments/data/safetensors.h"
#include "experiments/data/safetensors_writer.h"
#include "tests/experiments/scratch_folder.h"

using sbp::experiments::crc32_of;
using sbp::experiments::SafetensorsFile;
using sbp::experiments::SafetensorsWriter;
using sbp::experiments::TensorDescription;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;

namespace {

const std::vector<TensorDescription> kTensors = {
    {"weight", "F32", {2, 1}}, {"empty", "I64", {0, 3}}, {"scalar", "U8", {}}};
constexpr float kValues[2] = {1.5f, -2.0f};
constexpr std::uint8_t kScalar = 7;

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t count_of_files(const ScratchFolder& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder.path()), {}));
}

void write_all_of(SafetensorsWriter& writer) {
  writer.append(std::as_bytes(std::span(kValues)));
  writer.append({});
  writer.append(std::as_bytes(std::span(&kScalar, 1)));
}

// While such an object lives, this process writes no file beyond so many bytes.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

}  // namespace

TEST_CASE("safetensors writer: the strict reader reads it back, and the facts are the file's") {
  const ScratchFolder folder;
  SafetensorsWriter writer(folder.path("x"), kTensors, {{"format", "pt"}});
  write_all_of(writer);
  const auto facts = writer.finish();
  const std::string bytes = read(folder.path("x"));
  CHECK(facts == sbp::experiments::facts_of(std::as_bytes(std::span(bytes))));
  CHECK(contains(bytes, R"("__metadata__":{"format":"pt"})"));
  const SafetensorsFile file(folder.path("x"));
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.tensors().at("weight").shape == std::vector<std::int64_t>{2, 1});
  CHECK(std::memcmp(file.tensors().at("weight").data.data(), kValues, sizeof kValues) == 0);
  CHECK(file.tensors().at("empty").data.empty());
  CHECK(file.tensors().at("scalar").data[0] == std::byte{kScalar});
  // The data begins at a multiple of eight bytes.
  CHECK((bytes.size() - sizeof kValues - 1) % 8 == 0);
}

TEST_CASE("safetensors writer: nothing is there before the end, and an old file stays") {
  const ScratchFolder folder;
  folder.write("x", "old");
  {
    SafetensorsWriter writer(folder.path("x"), kTensors, {});
    writer.append(std::as_bytes(std::span(kValues)));
    CHECK(read(folder.path("x")) == "old");
    CHECK(contains(error_text([&] { writer.finish(); }), "only 1 of its 3 tensors"));
  }
  CHECK(read(folder.path("x")) == "old");
  CHECK(count_of_files(folder) == 1);
}

TEST_CASE("safetensors writer: a full disk is an error that leaves the old file alone") {
  const ScratchFolder folder;
  folder.write("x", "old");
  const std::vector<std::byte> large(20'000);
  const auto attempt = [&] {
    const FileSizeLimit limit(10'000);
    SafetensorsWriter writer(folder.path("x"), {{"large", "U8", {20'000}}}, {});
    writer.append(large);
    writer.finish();
  };
  CHECK(contains(error_text(attempt), sbp::concat("cannot write '", folder.path("x"), "': File")));
  CHECK(read(folder.path("x")) == "old");
  CHECK(count_of_files(folder) == 1);
}

TEST_CASE("safetensors writer: descriptions and data that do not fit") {
  const ScratchFolder folder;
  const auto refused = [&](std::vector<TensorDescription> tensors) {
    return error_text([&] { SafetensorsWriter(folder.path("x"), std::move(tensors), {}); });
  };
  CHECK(contains(refused({{"a", "F31", {}}}), "tensor 'a' has the unknown dtype 'F31'"));
  CHECK(contains(refused({{"a", "U8", {}}, {"a", "U8", {}}}), "tensor 'a' is there twice"));
  CHECK(contains(refused({{"", "U8", {}}}), "not free"));
  CHECK(contains(refused({{"__metadata__", "U8", {}}}), "not free"));
  SafetensorsWriter writer(folder.path("x"), {{"a", "F32", {2}}}, {});
  CHECK(contains(error_text([&] { writer.append(std::as_bytes(std::span(&kScalar, 1))); }),
                 "tensor 'a' has 1 bytes, not the 8 of its shape"));
  writer.append(std::as_bytes(std::span(kValues)));
  CHECK(contains(error_text([&] { writer.append({}); }), "more than its 1 tensors"));
}

TEST_CASE("checksums are the usual CRC-32") {
  const std::string_view digits = "123456789";
  const auto bytes = std::as_bytes(std::span(digits));
  CHECK(crc32_of(bytes) == 0xCBF43926U);
  CHECK(crc32_of(bytes.subspan(4), crc32_of(bytes.first(4))) == 0xCBF43926U);
  CHECK(crc32_of({}, 5) == 5);
  CHECK(sbp::experiments::checksum_text(0x12ABU) == "crc32:000012ab");
}
