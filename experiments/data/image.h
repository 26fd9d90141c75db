// One image as bytes, of any size; LibTorch-free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sbp::experiments {

struct ImageSize {
  std::int64_t height = 0;
  std::int64_t width = 0;

  std::int64_t pixels() const { return height * width; }
  bool operator==(const ImageSize&) const = default;
};

// Channel by channel, row by row.
struct Image {
  std::int64_t channels = 0;
  ImageSize size;
  std::vector<std::uint8_t> bytes;  // channels * height * width

  // The bytes are then of any value.
  void reshape(std::int64_t new_channels, const ImageSize& new_size) {
    channels = new_channels;
    size = new_size;
    bytes.resize(static_cast<std::size_t>(channels * size.pixels()));
  }

  std::span<std::uint8_t> plane(std::int64_t channel) {
    const auto length = static_cast<std::size_t>(size.pixels());
    return std::span(bytes).subspan(static_cast<std::size_t>(channel) * length, length);
  }
  std::span<const std::uint8_t> plane(std::int64_t channel) const {
    const auto length = static_cast<std::size_t>(size.pixels());
    return std::span(bytes).subspan(static_cast<std::size_t>(channel) * length, length);
  }
  std::span<std::uint8_t> row(std::int64_t channel, std::int64_t y) {
    const auto width = static_cast<std::size_t>(size.width);
    return plane(channel).subspan(static_cast<std::size_t>(y) * width, width);
  }
  std::span<const std::uint8_t> row(std::int64_t channel, std::int64_t y) const {
    const auto width = static_cast<std::size_t>(size.width);
    return plane(channel).subspan(static_cast<std::size_t>(y) * width, width);
  }

  bool operator==(const Image&) const = default;
};

}  // namespace sbp::experiments
