#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "experiments/data/jpeg.h"
#include "tests/experiments/sample_files.h"
#include "tests/experiments/scratch_folder.h"

namespace data = sbp::experiments;
using data::Image;
using data::ImageSize;
using sbp::tests::contains;
using sbp::tests::encode_jpeg;
using sbp::tests::error_text;
using sbp::tests::flat_image;
using sbp::tests::smooth_image;

namespace {

std::span<const std::byte> bytes_of(const std::string& file) {
  return std::as_bytes(std::span(file));
}

Image decode(const std::string& file, const ImageSize& at_least = {}) {
  Image image;
  data::decode_jpeg(bytes_of(file), at_least, image);
  return image;
}

Image decode_whole(const std::string& file) {
  return decode(file, {1 << 20, 1 << 20});
}

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.size == b.size);
  REQUIRE(a.channels == b.channels);
  int largest = 0;
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    largest = std::max(largest, std::abs(a.bytes[i] - b.bytes[i]));
  }
  return largest;
}

std::string decode_error(const std::string& file) {
  return error_text([&] { decode(file, {1, 1}); });
}

}  // namespace

TEST_CASE("jpeg: colours come back, baseline and progressive") {
  const Image image = smooth_image({40, 56});
  for (const bool progressive : {false, true}) {
    const std::string file = encode_jpeg(image, {.quality = 100, .progressive = progressive});
    CHECK(data::jpeg_size(bytes_of(file)) == ImageSize{40, 56});
    CHECK(largest_difference(decode_whole(file), image) <= 8);
  }
}

TEST_CASE("jpeg: grey is widened") {
  const Image grey = flat_image({9, 17}, {77});
  CHECK(largest_difference(decode_whole(encode_jpeg(grey)), flat_image({9, 17}, {77, 77, 77})) <=
        1);
}

TEST_CASE("jpeg: four colours of print become three of light") {
  // Cyan 200 of 255 and black 51 of 255, printed: red is (255 - 200)(255 - 51)/255 = 44.
  const Image print = flat_image({16, 16}, {200, 0, 100, 51});
  const std::string file = encode_jpeg(print, {.quality = 100, .cmyk = true});
  CHECK(largest_difference(decode_whole(file), flat_image({16, 16}, {44, 204, 124})) <= 2);
}

TEST_CASE("jpeg: decodes at the smallest scale that is large enough") {
  const std::string file = encode_jpeg(smooth_image({100, 260}));
  const auto size = [&](std::int64_t height, std::int64_t width) {
    return decode(file, {height, width}).size;
  };
  CHECK(size(0, 0) == ImageSize{13, 33});
  CHECK(size(13, 33) == ImageSize{13, 33});
  CHECK(size(14, 33) == ImageSize{25, 65});
  CHECK(size(25, 66) == ImageSize{50, 130});
  CHECK(size(50, 130) == ImageSize{50, 130});
  CHECK(size(51, 10) == ImageSize{100, 260});
  CHECK(size(1000, 1000) == ImageSize{100, 260});
  // The small one is the large one, seen from farther away: half a row's step (10) beside, and the
  // last row is cut in half.
  CHECK(largest_difference(decode(file, {13, 33}), smooth_image({13, 33})) <= 20);
}

TEST_CASE("jpeg: what is no whole JPEG is refused") {
  const std::string file = encode_jpeg(smooth_image({64, 64}));
  CHECK(decode_error("") == "it is empty");
  CHECK(contains(decode_error("not an image"), "Not a JPEG file"));
  CHECK(contains(decode_error("\x89PNG\r\n\x1a\n and more of it"), "Not a JPEG file"));
  // Wherever it is cut. Without the end mark alone (2 bytes) the pixels are whole, but not the
  // file.
  for (std::size_t length = 1; length < file.size(); length += 7) {
    CAPTURE(length);
    CHECK(!decode_error(file.substr(0, length)).empty());
  }
  CHECK(decode_error(file).empty());
}

TEST_CASE("jpeg: damage anywhere is an error or an image, never a crash") {
  const std::string file = encode_jpeg(smooth_image({48, 48}), {.progressive = true});
  int refused = 0;
  for (std::size_t place = 0; place < file.size(); place += 3) {
    std::string damaged = file;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x5A);
    if (!decode_error(damaged).empty()) ++refused;
  }
  CHECK(refused > 50);
}

TEST_CASE("jpeg: a size that no honest image has is refused before memory is taken for it") {
  const std::string file = sbp::tests::with_size(sbp::tests::tiny_jpeg(), 65000, 65000);
  CHECK(decode_error(file) == "it claims 65000x65000 pixels; at most 100000000 are read");
  CHECK(error_text([&] { data::jpeg_size(bytes_of(file)); }) == decode_error(file));
  // Within the limit but without the data: found out while it is read.
  CHECK(!decode_error(sbp::tests::with_size(sbp::tests::tiny_jpeg(), 4000, 4000)).empty());
}

TEST_CASE("jpeg: bytes between the parts of a file are no damage to its pixels") {
  const std::string file = encode_jpeg(smooth_image({16, 16}));
  const std::string padded = file.substr(0, 2) + std::string(5, 'x') + file.substr(2);
  CHECK(decode_whole(padded) == decode_whole(file));
}
