#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "experiments/data/image_ops.h"
#include "experiments/data/rand_augment.h"
#include "tests/experiments/sample_files.h"

namespace data = sbp::experiments;
using data::Image;
using data::Interpolation;
using data::RandOperation;
using sbp::tests::flat_image;
using sbp::tests::smooth_image;

namespace {

constexpr std::array<std::uint8_t, 3> kFill = {9, 8, 7};
using Bytes = std::vector<std::uint8_t>;

Image grey(std::int64_t height, std::int64_t width, Bytes bytes) {
  return {1, {height, width}, std::move(bytes)};
}

template <typename Change>
Image changed(Image image, Change change) {
  change(image);
  return image;
}

Image warped(Image image, const data::Affine& matrix, Interpolation interpolation) {
  data::transform(image, matrix, interpolation, kFill);
  return image;
}

}  // namespace

TEST_CASE("image operations: the ones that do nothing leave every byte") {
  const Image image = smooth_image({31, 45});
  const auto same = [&](auto change) { CHECK(changed(image, change) == image); };
  same([](Image& i) { data::adjust_brightness(i, 1.0); });
  same([](Image& i) { data::adjust_contrast(i, 1.0); });
  same([](Image& i) { data::adjust_colour(i, 1.0); });
  same([](Image& i) { data::adjust_sharpness(i, 1.0); });
  same([](Image& i) { data::posterize(i, 8); });
  same([](Image& i) { data::solarize(i, 256); });
  same([](Image& i) { data::solarize_add(i, 0); });
  for (const Interpolation how : {Interpolation::bilinear, Interpolation::bicubic}) {
    CHECK(warped(image, data::rotation(0.0, image.size), how) == image);
    CHECK(warped(image, {1, 0, 0, 0, 1, 0}, how) == image);
  }
  for (std::size_t i = 3; i < data::kRandOperations; ++i) {
    const auto operation = static_cast<RandOperation>(i);
    if (operation == RandOperation::posterize) continue;  // 4 bits at magnitude 0
    CAPTURE(i);
    for (const bool negative : {false, true}) {
      CHECK(changed(image, [&](Image& other) {
              data::apply_operation(other, operation, {0.0, negative},
                                    {Interpolation::bicubic, kFill});
            }) == image);
    }
  }
}

TEST_CASE("image operations: on bytes") {
  const Image image = grey(1, 5, {0, 50, 100, 128, 200});
  const auto bytes = [&](auto change) { return changed(image, change).bytes; };
  CHECK(bytes([](Image& i) { data::invert(i); }) == Bytes{255, 205, 155, 127, 55});
  CHECK(bytes([](Image& i) { data::posterize(i, 1); }) == Bytes{0, 0, 0, 128, 128});
  CHECK(bytes([](Image& i) { data::posterize(i, 4); }) == Bytes{0, 48, 96, 128, 192});
  CHECK(bytes([](Image& i) { data::posterize(i, 0); }) == Bytes{0, 0, 0, 0, 0});
  CHECK(bytes([](Image& i) { data::solarize(i, 100); }) == Bytes{0, 50, 155, 127, 55});
  CHECK(bytes([](Image& i) { data::solarize_add(i, 99); }) == Bytes{99, 149, 199, 128, 200});
  CHECK(changed(grey(1, 3, {20, 80, 224}), &data::auto_contrast).bytes == Bytes{0, 75, 255});
  CHECK(bytes([](Image& i) { data::adjust_brightness(i, 0.5); }) == Bytes{0, 25, 50, 64, 100});
  CHECK(bytes([](Image& i) { data::adjust_brightness(i, 1.5); }) == Bytes{0, 75, 150, 192, 255});
  // The mean is 95.6, so the centre is 96.
  CHECK(bytes([](Image& i) { data::adjust_contrast(i, 0.0); }) == Bytes{96, 96, 96, 96, 96});
  CHECK(bytes([](Image& i) { data::adjust_contrast(i, 2.0); }) == Bytes{0, 4, 104, 160, 255});
  const Image one = flat_image({3, 3}, {7, 70, 170});
  for (const auto change : {&data::auto_contrast, &data::equalize}) {
    CHECK(changed(one, change) == one);
  }
}

TEST_CASE("image operations: equalising makes the histogram flat") {
  Image image;
  image.reshape(1, {16, 16});
  for (std::size_t i = 0; i < 256; ++i) image.bytes[i] = static_cast<std::uint8_t>(i / 4 + 20);
  // 256 - 4 over 255 is no whole step: nothing changes.
  CHECK(changed(image, &data::equalize) == image);
  image.reshape(1, {64, 64});
  for (std::size_t i = 0; i < 4096; ++i) image.bytes[i] = static_cast<std::uint8_t>(i / 1024);
  // step = (4096 - 1024) / 255 = 12; levels (6 + 1024 k) / 12, cut at 255.
  data::equalize(image);
  CHECK(image.bytes[0] == 0);
  CHECK(image.bytes[1024] == 85);
  CHECK(image.bytes[2048] == 171);
  CHECK(image.bytes[4095] == 255);
}

TEST_CASE("image operations: colours and edges") {
  Image image = flat_image({1, 1}, {200, 100, 50});
  data::adjust_colour(image, 0.0);
  // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
  CHECK(image.bytes == Bytes{124, 124, 124});
  Image dot = grey(3, 3, {0, 0, 0, 0, 130, 0, 0, 0, 0});
  data::adjust_sharpness(dot, 0.0);
  CHECK(dot.bytes == Bytes{0, 0, 0, 0, 50, 0, 0, 0, 0});
  dot.bytes[4] = 130;
  data::adjust_sharpness(dot, 1.5);
  CHECK(dot.bytes[4] == 170);  // 50 smoothed, and one and a half times the way from there to 130
}

TEST_CASE("image operations: whole shifts and quarter turns move bytes and fill the rest") {
  const Image image = smooth_image({20, 20});
  for (const Interpolation how : {Interpolation::bilinear, Interpolation::bicubic}) {
    const Image moved = warped(image, {1, 0, 3, 0, 1, -2}, how);
    const Image turned = warped(image, data::rotation(90.0, image.size), how);
    for (std::int64_t c = 0; c < 3; ++c) {
      for (std::int64_t y = 0; y < 20; ++y) {
        for (std::int64_t x = 0; x < 20; ++x) {
          const auto at = [&](const Image& i, std::int64_t row, std::int64_t column) {
            return int{i.row(c, row)[static_cast<std::size_t>(column)]};
          };
          const bool inside = x + 3 < 20 && y - 2 >= 0;
          REQUIRE(at(moved, y, x) ==
                  (inside ? at(image, y - 2, x + 3) : int{kFill[static_cast<std::size_t>(c)]}));
          REQUIRE(at(turned, y, x) == at(image, x, 19 - y));  // anticlockwise
        }
      }
    }
  }
}

TEST_CASE("image operations: an even surface stays even wherever it is moved") {
  const Image image = flat_image({40, 40}, {255, 100, 1});
  const Image turned = warped(image, data::rotation(17.0, image.size), Interpolation::bicubic);
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto index = static_cast<std::size_t>(c);
    for (const std::uint8_t byte : turned.plane(c)) {
      const bool known = byte == image.plane(c)[0] || byte == kFill.at(index);
      REQUIRE(known);
    }
    CHECK(turned.row(c, 20)[20] == image.plane(c)[0]);
    CHECK(turned.row(c, 0)[0] == kFill.at(index));
  }
}

TEST_CASE("randaugment: every operation is drawn, half are done, all by seed") {
  const Image image = smooth_image({24, 24});
  const data::RandAugmentOptions one{.layers = 1};
  int same = 0;
  constexpr int kRuns = 2000;
  for (int i = 0; i < kRuns; ++i) {
    Image changed = image, again = image;
    sbp::RandomStream stream({.seed = 1, .site = static_cast<std::uint32_t>(i)});
    sbp::RandomStream copy = stream;
    data::rand_augment(changed, one, kFill, stream);
    data::rand_augment(again, one, kFill, copy);
    REQUIRE(changed == again);
    REQUIRE(stream.next() == copy.next());
    if (changed == image) ++same;
  }
  // Half are not done, and a smooth image that spans all levels survives one or two of 15.
  CHECK(same > 0.46 * kRuns);
  CHECK(same < 0.64 * kRuns);
  Image untouched = image;
  sbp::RandomStream stream({.seed = 1});
  data::rand_augment(untouched, {.layers = 20, .probability = 0.0}, kFill, stream);
  CHECK(untouched == image);
}

TEST_CASE("randaugment: at magnitude 9 operations are as strong as timm's") {
  const Image image = grey(1, 5, {0, 29, 30, 127, 200});
  const auto apply = [&](RandOperation operation, bool negative) {
    return changed(image,
                   [&](Image& other) {
                     data::apply_operation(other, operation, {9.0, negative},
                                           {Interpolation::bicubic, std::span(kFill).first(1)});
                   })
        .bytes;
  };
  CHECK(apply(RandOperation::posterize, false) == Bytes{0, 0, 0, 0, 128});      // 4 - 3 = 1 bit
  CHECK(apply(RandOperation::solarize, false) == Bytes{0, 226, 225, 128, 55});  // from 26 on
  CHECK(apply(RandOperation::solarize_add, false) == Bytes{99, 128, 129, 226, 200});
  CHECK(apply(RandOperation::brightness, true) == Bytes{0, 5, 5, 24, 38});       // by 0.19
  CHECK(apply(RandOperation::brightness, false) == Bytes{0, 52, 54, 229, 255});  // by 1.81
  const Image wide = smooth_image({100, 100});
  Image shifted = wide;
  data::apply_operation(shifted, RandOperation::translate_x, {10.0, true},
                        {Interpolation::bicubic, kFill});
  CHECK(shifted.row(0, 50)[44] == kFill[0]);  // 45 of 100 columns to the right
  CHECK(shifted.row(0, 50)[45] == wide.row(0, 50)[0]);
}
