// JPEG images to bytes, through libjpeg-turbo.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "experiments/data/image.h"

namespace sbp::experiments {

// An image that claims more is refused before anything is allocated for it.
inline constexpr std::int64_t kMaximumPixels = 100'000'000;

// Both throw Error that starts with the reason ("it is not a JPEG: ...", "it is truncated: ...")
// for the caller to put the file's name before: no JPEG, damaged, too many pixels, too many scans.

// The image's own size, from its header.
ImageSize jpeg_size(std::span<const std::byte> file);

// Decodes to red, green and blue at the smallest scale that libjpeg does fast (1/8, 1/4, 1/2 or 1)
// whose result is no smaller than `at_least` in either direction; full size where none is. Grey is
// widened; CMYK and YCCK are turned into RGB without a profile. Accurate DCT, smooth upsampling.
void decode_jpeg(std::span<const std::byte> file, const ImageSize& at_least, Image& image);

}  // namespace sbp::experiments
