#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "experiments/data/cifar10.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/skip.h"

namespace data = sbp::experiments;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;

namespace {

// `count` records from `first` on; record i has label i % 10 and pixels that tell i and the place.
std::string records(int count, int first = 0) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    bytes += static_cast<char>(i % 10);
    for (int k = 0; k < 3072; ++k) bytes += static_cast<char>((i * 31 + k) % 256);
  }
  return bytes;
}

std::vector<std::uint8_t> read(const data::Dataset& set, std::int64_t index) {
  data::Image image;
  set.read(index, {}, image);
  return image.bytes;
}

// Which record it is: its first pixel is 31 i modulo 256, and 223 is the inverse of 31.
int first_record(const data::Dataset& set, std::int64_t index) {
  return read(set, index)[0] * 223 % 256;
}

std::string open_error(const std::string& path) {
  return error_text([&] { data::open_cifar10(path); });
}

}  // namespace

TEST_CASE("cifar10: one file keeps its last fifth for the test set") {
  const ScratchFolder folder;
  const std::string path = folder.write("batch.bin", records(23));
  const data::DataSource source = data::open_cifar10(path);
  CHECK(source.train->size() == 19);
  CHECK(source.train->held_bytes() == 19 * 3073);
  CHECK(source.test->size() == 4);
  CHECK(source.train->geometry() == data::ImageGeometry{3, 32, 32, 10});
  for (int i = 0; i < 23; ++i) {
    const data::Dataset& set = i < 19 ? *source.train : *source.test;
    const int index = i < 19 ? i : i - 19;
    CHECK(set.label(index) == i % 10);
    const std::vector<std::uint8_t> pixels = read(set, index);
    REQUIRE(pixels.size() == 3072);
    for (int k = 0; k < 3072; ++k)
      REQUIRE(pixels[static_cast<std::size_t>(k)] == (i * 31 + k) % 256);
  }
  CHECK(source.mean.size() == 3);
  CHECK(source.standard_deviation.size() == 3);
}

TEST_CASE("cifar10: the smallest files") {
  const ScratchFolder folder;
  const data::DataSource two = data::open_cifar10(folder.write("two.bin", records(2)));
  CHECK(two.train->size() == 1);
  CHECK(two.test->size() == 1);
  CHECK(first_record(*two.test, 0) == 1);
  CHECK(contains(open_error(folder.write("one.bin", records(1))), "at least 2 are needed"));
}

TEST_CASE("cifar10: a folder of batches, in the order of their numbers") {
  const ScratchFolder folder;
  folder.write("data_batch_10.bin", records(2, 4));
  folder.write("data_batch_2.bin", records(3, 1));
  folder.write("data_batch_1.bin", records(1, 0));
  folder.write("test_batch.bin", records(2, 7));
  folder.write("readme.html", "not a batch");
  const data::DataSource source = data::open_cifar10(folder.path());
  REQUIRE(source.train->size() == 6);
  REQUIRE(source.test->size() == 2);
  for (int i = 0; i < 6; ++i) CHECK(first_record(*source.train, i) == i);
  for (int i = 0; i < 2; ++i) CHECK(first_record(*source.test, i) == 7 + i);
}

TEST_CASE("cifar10: a folder without a test batch keeps the last fifth of all records") {
  const ScratchFolder folder;
  folder.write("data_batch_1.bin", records(6, 0));
  folder.write("data_batch_2.bin", records(4, 6));
  const data::DataSource source = data::open_cifar10(folder.path());
  CHECK(source.train->size() == 8);
  REQUIRE(source.test->size() == 2);
  CHECK(first_record(*source.test, 0) == 8);
}

TEST_CASE("cifar10: what is wrong is named with file and record") {
  const ScratchFolder folder;
  CHECK(contains(open_error(""), "cifar10:path="));
  CHECK(contains(open_error(folder.path("none.bin")), "'" + folder.path("none.bin") + "'"));
  CHECK(contains(open_error(folder.path()), "no CIFAR-10 batches in folder"));
  const std::string empty = folder.write("empty.bin", "");
  CHECK(contains(open_error(empty), "'" + empty + "' has 0 bytes"));
  std::string bytes = records(12);
  const std::string cut = folder.write("cut.bin", bytes.substr(0, bytes.size() - 1));
  CHECK(contains(open_error(cut), "11 whole records of 3073 bytes and 3072 bytes of record 11"));
  bytes[7 * 3073] = 10;
  const std::string label = folder.write("label.bin", bytes);
  CHECK(contains(open_error(label), "'" + label + "' has label 10 at record 7 (counted from 0)"));
  bytes[7 * 3073] = '\xff';
  CHECK(contains(open_error(folder.write("label.bin", bytes)), "label 255 at record 7"));
  folder.write("data_batch_1.bin", records(2));
  folder.write("data_batch_2.bin", bytes);
  CHECK(contains(open_error(folder.path()), "data_batch_2.bin' has label 255 at record 7"));
}

// A folder with the first 4,000 records of data_batch_1, which the published labels begin.
TEST_CASE("cifar10: a real batch") {
  const char* folder = std::getenv("SBP_DATA_DIR");
  if (folder == nullptr) SBP_SKIP("SBP_DATA_DIR does not name a folder with CIFAR-10");
  const data::DataSource source = data::open_cifar10(
      (std::filesystem::path(folder) / "cifar10-lossless-first4000.bin").string());
  CHECK(source.train->size() == 3200);
  CHECK(source.test->size() == 800);
  constexpr std::array<std::int64_t, 10> kFirst = {6, 9, 9, 4, 1, 1, 2, 7, 8, 3};
  for (int i = 0; i < 10; ++i)
    CHECK(source.train->label(i) == kFirst.at(static_cast<std::size_t>(i)));

  // The constants are those of all 50,000 images; 3,200 of them come near.
  std::array<double, 3> sums{}, squares{};
  for (int i = 0; i < 3200; ++i) {
    const std::vector<std::uint8_t> pixels = read(*source.train, i);
    for (std::size_t k = 0; k < 3072; ++k) {
      sums.at(k / 1024) += pixels[k] / 255.0;
      squares.at(k / 1024) += pixels[k] / 255.0 * (pixels[k] / 255.0);
    }
  }
  constexpr double kPixels = 3200.0 * 1024.0;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const double mean = sums.at(channel) / kPixels;
    CHECK(std::abs(mean - source.mean[channel]) < 0.01);
    CHECK(std::abs(std::sqrt(squares.at(channel) / kPixels - mean * mean) -
                   source.standard_deviation[channel]) < 0.01);
  }
}
