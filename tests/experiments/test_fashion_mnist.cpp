#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "experiments/data/fashion_mnist.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/skip.h"

namespace data = sbp::experiments;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;

namespace {

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  return bytes;
}

std::string images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  std::string bytes =
      big_endian(0x803) + big_endian(count) + big_endian(height) + big_endian(width);
  for (std::uint32_t i = 0; i < count * height * width; ++i) bytes += static_cast<char>(i % 251);
  return bytes;
}

std::string labels(const std::string& values) {
  return big_endian(0x801) + big_endian(static_cast<std::uint32_t>(values.size())) + values;
}

// Three training images and two test images, in plain files.
void write_small(const ScratchFolder& folder) {
  folder.write("train-images-idx3-ubyte", images(3, 28, 28));
  folder.write("train-labels-idx1-ubyte", labels(std::string("\x09\0\x04", 3)));
  folder.write("t10k-images-idx3-ubyte", images(2, 28, 28));
  folder.write("t10k-labels-idx1-ubyte", labels("\x01\x02"));
}

}  // namespace

TEST_CASE("fashion_mnist: reads what the files hold") {
  const ScratchFolder folder;
  write_small(folder);
  const data::DataSource source = data::open_fashion_mnist(folder.path());
  CHECK(source.train->size() == 3);
  CHECK(source.test->size() == 2);
  CHECK(source.train->geometry() == data::ImageGeometry{1, 28, 28, 10});
  CHECK(source.train->held_bytes() == 3 * 785);
  CHECK(source.train->label(0) == 9);
  CHECK(source.train->label(1) == 0);
  CHECK(source.test->label(1) == 2);
  data::Image image;
  source.train->read(2, {}, image);
  REQUIRE(image.bytes.size() == 784);
  for (std::size_t i = 0; i < 784; ++i) REQUIRE(image.bytes[i] == (2 * 784 + i) % 251);
  CHECK(source.mean.size() == 1);
  CHECK(source.standard_deviation.size() == 1);
}

TEST_CASE("fashion_mnist: missing files say how to get them") {
  const ScratchFolder folder;
  const auto open = [&] { data::open_fashion_mnist(folder.path()); };
  CHECK(contains(error_text(open), "apt-get install dataset-fashion-mnist"));
  CHECK(contains(error_text(open), "fashion_mnist:path="));
  write_small(folder);
  CHECK(error_text(open).empty());
  std::filesystem::remove(folder.path("t10k-labels-idx1-ubyte"));
  CHECK(contains(error_text(open), folder.path("t10k-labels-idx1-ubyte.gz")));
}

TEST_CASE("fashion_mnist: files that do not fit each other or the data set") {
  const ScratchFolder folder;
  const auto open = [&] { data::open_fashion_mnist(folder.path()); };
  write_small(folder);
  folder.write("train-images-idx3-ubyte", images(3, 28, 27));
  CHECK(contains(error_text(open), "holds images of 28x27, not of 28x28"));
  folder.write("train-images-idx3-ubyte", images(4, 28, 28));
  CHECK(contains(error_text(open), "holds 3 labels, but"));
  write_small(folder);
  folder.write("t10k-labels-idx1-ubyte", labels("\x01\x0a"));
  CHECK(contains(error_text(open), "has label 10 at record 1 (counted from 0); labels are 0 to 9"));
  folder.write("t10k-images-idx3-ubyte", images(0, 28, 28));
  folder.write("t10k-labels-idx1-ubyte", labels(""));
  CHECK(contains(error_text(open), "holds no images"));
}

TEST_CASE("fashion_mnist: the package's own files") {
  if (!std::filesystem::exists(data::kFashionMnistFolder)) {
    SBP_SKIP("Debian's dataset-fashion-mnist is not installed");
  }
  const data::DataSource source = data::open_fashion_mnist(data::kFashionMnistFolder);
  REQUIRE(source.train->size() == 60000);
  REQUIRE(source.test->size() == 10000);
  std::array<int, 10> train{}, test{};
  for (int i = 0; i < 60000; ++i) ++train.at(static_cast<std::size_t>(source.train->label(i)));
  for (int i = 0; i < 10000; ++i) ++test.at(static_cast<std::size_t>(source.test->label(i)));
  for (const int count : train) CHECK(count == 6000);
  for (const int count : test) CHECK(count == 1000);

  // The constants are those of the training images.
  data::Image image;
  std::int64_t sum = 0, squares = 0;
  for (int i = 0; i < 60000; ++i) {
    source.train->read(i, {}, image);
    for (const std::int64_t pixel : image.bytes) {
      sum += pixel;
      squares += pixel * pixel;
    }
  }
  constexpr double kPixels = 60000.0 * 784.0;
  const double mean = static_cast<double>(sum) / kPixels;
  const double deviation = std::sqrt(static_cast<double>(squares) / kPixels - mean * mean);
  CHECK(std::abs(mean / 255.0 - source.mean[0]) < 0.0001);
  CHECK(std::abs(deviation / 255.0 - source.standard_deviation[0]) < 0.0001);
}
