#include <doctest/doctest.h>

#include <algorithm>

#include "experiments/data/synthetic.h"

namespace data = sbp::experiments;

namespace {

std::vector<std::uint8_t> image(const data::Dataset& set, std::int64_t index) {
  data::Image image;
  set.read(index, {}, image);
  return image.bytes;
}

std::int64_t distance(const std::vector<double>& mean, const std::vector<std::uint8_t>& pixels) {
  double sum = 0.0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    sum += (mean[i] - pixels[i]) * (mean[i] - pixels[i]);
  }
  return static_cast<std::int64_t>(sum);
}

}  // namespace

TEST_CASE("synthetic: sizes, labels and normalisation") {
  const data::DataSource source = data::open_synthetic({3, 8, 12, 5}, 22, 1);
  CHECK(source.train->size() == 22);
  CHECK(source.test->size() == 5);
  CHECK(data::open_synthetic({3, 8, 12, 5}, 2, 1).test->size() == 1);
  CHECK(source.mean == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(source.standard_deviation == std::vector<double>{0.5, 0.5, 0.5});
  for (std::int64_t i = 0; i < 22; ++i) CHECK(source.train->label(i) == i % 5);
}

TEST_CASE("synthetic: a function of the seed, the split and the index") {
  const data::ImageGeometry geometry{3, 9, 7, 4};
  const data::DataSource one = data::open_synthetic(geometry, 16, 1);
  const data::DataSource again = data::open_synthetic(geometry, 16, 1);
  const data::DataSource other = data::open_synthetic(geometry, 16, 2);
  for (std::int64_t i = 0; i < 16; ++i) CHECK(image(*one.train, i) == image(*again.train, i));
  CHECK(image(*one.test, 3) == image(*again.test, 3));
  CHECK(image(*one.train, 3) != image(*other.train, 3));
  CHECK(image(*one.train, 3) != image(*one.test, 3));
  CHECK(image(*one.train, 3) != image(*one.train, 7));  // of one class, but not one image
  // An image does not depend on what was read before it, nor on how many there are.
  CHECK(image(*data::open_synthetic(geometry, 400, 1).train, 3) == image(*one.train, 3));
}

// There must be something to learn: the means of the training images tell the test images apart.
TEST_CASE("synthetic: classes can be told apart by their means") {
  constexpr std::int64_t kClasses = 10;
  const data::DataSource source = data::open_synthetic({1, 16, 16, kClasses}, 400, 3);
  std::vector<std::vector<double>> means(kClasses, std::vector<double>(256, 0.0));
  for (std::int64_t i = 0; i < 400; ++i) {
    const std::vector<std::uint8_t> pixels = image(*source.train, i);
    auto& mean = means[static_cast<std::size_t>(source.train->label(i))];
    for (std::size_t k = 0; k < 256; ++k) mean[k] += pixels[k] / 40.0;
  }
  for (std::int64_t i = 0; i < source.test->size(); ++i) {
    const std::vector<std::uint8_t> pixels = image(*source.test, i);
    const auto nearest = std::ranges::min_element(
        means, {}, [&](const std::vector<double>& mean) { return distance(mean, pixels); });
    CHECK(nearest - means.begin() == source.test->label(i));
  }
}

TEST_CASE("synthetic: pixels use the range of a byte and never wrap") {
  const data::DataSource source = data::open_synthetic({3, 64, 64, 100}, 100, 4);
  int least = 255, most = 0, widest = 0;
  for (std::int64_t i = 0; i < 100; ++i) {
    const std::vector<std::uint8_t> pixels = image(*source.train, i);
    for (std::size_t corner = 0; corner < pixels.size(); corner += 16) {
      if (corner / 64 % 16 != 0) continue;  // 16 pixels to the right and 16 down: one tile
      int low = 255, high = 0;
      for (std::size_t y = 0; y < 16; ++y) {
        for (std::size_t x = 0; x < 16; ++x) {
          low = std::min<int>(low, pixels[corner + y * 64 + x]);
          high = std::max<int>(high, pixels[corner + y * 64 + x]);
        }
      }
      least = std::min(least, low);
      most = std::max(most, high);
      widest = std::max(widest, high - low);
    }
  }
  CHECK(least < 4);
  CHECK(most > 246);
  CHECK(widest < 96);  // the noise
  CHECK(widest > 90);
}

TEST_CASE("synthetic: images smaller than the tiles") {
  const data::DataSource source = data::open_synthetic({1, 1, 2, 1}, 1, 5);
  CHECK(image(*source.train, 0).size() == 2);
}
