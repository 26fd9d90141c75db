// JPEG files and tar archives made by tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/data/image.h"

namespace sbp::tests {

struct JpegOptions {
  int quality = 95;
  bool progressive = false;
  bool cmyk = false;  // four channels as they are, without Adobe's marker
};

// `image` of 1, 3 or (cmyk) 4 channels.
std::string encode_jpeg(const experiments::Image& image, const JpegOptions& options = {});

// A plain image: all pixels of channel c have the value levels[c].
experiments::Image flat_image(const experiments::ImageSize& size,
                              const std::vector<std::uint8_t>& levels);
// A smooth one, in which each place has a colour of its own.
experiments::Image smooth_image(const experiments::ImageSize& size);

// A small JPEG of one colour.
std::string tiny_jpeg(std::uint8_t level = 100);

// The same file, but claiming another size in its header.
std::string with_size(std::string jpeg, int height, int width);

// One member of a ustar archive: header and contents, padded to blocks. `claimed_bytes` below 0:
// the true size.
std::string tar_member(std::string_view name, std::string_view contents, char type = '0',
                       std::int64_t claimed_bytes = -1);
inline std::string tar_end() {
  return std::string(1024, '\0');
}
std::string tar_of(const std::vector<std::pair<std::string, std::string>>& files);

std::string compress_xz(std::string_view bytes);
std::string compress_gzip(std::string_view bytes);

}  // namespace sbp::tests
