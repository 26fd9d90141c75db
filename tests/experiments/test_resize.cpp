#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "experiments/data/resize.h"
#include "tests/experiments/sample_files.h"

namespace data = sbp::experiments;
using data::Image;
using data::ImageSize;
using data::Interpolation;
using sbp::tests::flat_image;
using sbp::tests::smooth_image;

namespace {

Image to(const Image& image, const ImageSize& size, Interpolation interpolation) {
  Image out;
  const data::Box all = {0.0, 0.0, static_cast<double>(image.size.height),
                         static_cast<double>(image.size.width)};
  data::resize(image, {.source = all, .full = size, .crop = size}, interpolation, out);
  return out;
}

Image line(std::vector<std::uint8_t> bytes) {
  const auto width = static_cast<std::int64_t>(bytes.size());
  return {1, {1, width}, std::move(bytes)};
}

using Bytes = std::vector<std::uint8_t>;
constexpr Interpolation kLinear = Interpolation::bilinear;
constexpr Interpolation kCubic = Interpolation::bicubic;

}  // namespace

TEST_CASE("resize: to the same size nothing changes") {
  const Image image = smooth_image({37, 53});
  CHECK(to(image, image.size, kLinear) == image);
  CHECK(to(image, image.size, kCubic) == image);
}

TEST_CASE("resize: an even image stays even") {
  const Image image = flat_image({20, 31}, {0, 255, 77});
  for (const ImageSize size : {ImageSize{7, 9}, ImageSize{64, 50}, ImageSize{1, 1}}) {
    CHECK(to(image, size, kLinear) == flat_image(size, {0, 255, 77}));
    CHECK(to(image, size, kCubic) == flat_image(size, {0, 255, 77}));
  }
}

// Worked out by hand: weights of a triangle of half width 1 (up) or the scale (down), of Keys'
// cubic with a = -1/2; cut at the image's edge and made to sum to 1.
TEST_CASE("resize: small cases worked out by hand") {
  // Up by 2: centres at 0.25, 0.75, 1.25, 1.75 of two pixels.
  CHECK(to(line({0, 200}), {1, 4}, kLinear).bytes == Bytes{0, 50, 150, 200});
  // Down by 2: (0 + 3 + 3 + 1)/8 of the pixels, (1/8, 3/8, 3/8, 1/8) within and (3, 3, 1)/7 at the
  // edge.
  CHECK(to(line({0, 70, 140, 210}), {1, 2}, kLinear).bytes == Bytes{50, 160});
  CHECK(to(line({0, 80, 160, 240, 0, 80}), {1, 3}, kLinear).bytes == Bytes{57, 160, 69});
  // Down by 2 with the cubic: w(0.25), w(0.75), w(1.25), w(1.75) halved in distance.
  // w(0.25)=0.8671875, w(0.75)=0.2265625, w(1.25)=-0.0703125, w(1.75)=-0.0234375 at the first
  // centre 1: pixels 0..3 get w(.25), w(.25), w(.75), w(1.25); the sum is 1.890625.
  CHECK(to(line({0, 0, 200, 0}), {1, 2}, kCubic).bytes[0] == 24);  // 200 * 0.2265625 / 1.890625
  CHECK(to(line({0, 0, 0, 200}), {1, 2}, kCubic).bytes[0] == 0);   // below 0
  CHECK(to(line({200, 0, 0, 0}), {1, 2}, kCubic).bytes[0] == 92);  // 200 * 0.8671875 / 1.890625
  // Columns as rows.
  Image column = line({0, 70, 140, 210});
  column.size = {4, 1};
  CHECK(to(column, {2, 1}, kLinear).bytes == Bytes{50, 160});
}

TEST_CASE("resize: a part of the result is that part of the whole") {
  const Image image = smooth_image({90, 70});
  const data::Box all = {0.0, 0.0, 90.0, 70.0};
  const Image whole = to(image, {61, 47}, kCubic);
  Image part;
  data::resize(image, {.source = all, .full = {61, 47}, .crop = {20, 30}, .top = 33, .left = 11},
               kCubic, part);
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t y = 0; y < 20; ++y) {
      CHECK(std::ranges::equal(part.row(c, y), whole.row(c, y + 33).subspan(11, 30)));
    }
  }
}

TEST_CASE("resize: nothing outside the box is read") {
  Image image = flat_image({20, 20}, {0});
  for (std::int64_t y = 5; y < 15; ++y) {
    for (std::int64_t x = 4; x < 16; ++x) image.row(0, y)[static_cast<std::size_t>(x)] = 200;
  }
  Image out;
  for (const ImageSize size : {ImageSize{40, 40}, ImageSize{3, 3}}) {
    data::resize(image, {.source = {5.0, 4.0, 10.0, 12.0}, .full = size, .crop = size}, kCubic,
                 out);
    CHECK(out == flat_image(size, {200}));
  }
}

TEST_CASE("resize: the centre of an evaluation image") {
  // timm: the shorter side to floor(224 / 0.875) = 256, the longer one cut down to a whole number.
  const data::ResizeWindow wide = data::centre_window({300, 500}, {224, 224}, 0.875);
  CHECK(wide.full == ImageSize{256, 426});
  CHECK(wide.top == 16);
  CHECK(wide.left == 101);
  const data::ResizeWindow high = data::centre_window({500, 300}, {224, 224}, 0.875);
  CHECK(high.full == ImageSize{426, 256});
  // Half a pixel goes to the even side, as Python rounds: (257 - 224) / 2 = 16.5.
  CHECK(data::centre_window({257, 256}, {224, 224}, 0.875).top == 16);
  CHECK(data::centre_window({32, 32}, {224, 224}, 1.0).full == ImageSize{224, 224});
}
