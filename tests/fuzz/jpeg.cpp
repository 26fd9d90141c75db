// JPEG images through our glue to the library.
#include "experiments/data/jpeg.h"

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using namespace sbp::experiments;

SBP_FUZZ_TARGET(jpeg) {
  constexpr std::int64_t kLargest = 1 << 20;  // pixels; more costs time and finds nothing new
  const std::span<const std::byte> bytes = std::as_bytes(input);
  fuzz::refused_or([&] {
    const ImageSize size = jpeg_size(bytes);
    fuzz::require(size.height > 0 && size.width > 0 && size.pixels() <= kMaximumPixels,
                  "a size within the bound");
    if (size.pixels() > kLargest) return;
    for (const ImageSize& at_least : {ImageSize{1, 1}, ImageSize{16, 16}, size}) {
      Image image;
      decode_jpeg(bytes, at_least, image);
      fuzz::require(image.channels == 3, "red, green and blue");
      fuzz::require(image.size.height <= size.height && image.size.width <= size.width,
                    "never scaled up");
      fuzz::require(std::ssize(image.bytes) == 3 * image.size.pixels(), "all of its bytes");
    }
  });
}
