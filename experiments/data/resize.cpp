#include "experiments/data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace sbp::experiments {
namespace {

// Rows are handled in groups of this many, so that one weight serves them all at once.
constexpr std::size_t kGroup = 8;

double weight_at(Interpolation interpolation, double distance) {
  const double x = std::abs(distance);
  if (interpolation == Interpolation::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;  // Keys 1981
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

// Along one direction: which source pixels each output pixel is made of, and their weights.
struct Axis {
  std::vector<std::int64_t> first;  // of each output pixel
  std::vector<std::int64_t> count;
  std::vector<float> weights;  // `most` of each output pixel
  std::int64_t most = 0;

  const float* of(std::size_t out) const {
    return weights.data() + out * static_cast<std::size_t>(most);
  }
};

struct Extent {
  double start;            // of the source box
  double length;           // likewise
  std::int64_t limit;      // of the image
  std::int64_t full;       // what the box becomes
  std::int64_t out_first;  // what is kept of that
  std::int64_t out_count;
};

Axis make_axis(const Extent& extent, Interpolation interpolation) {
  const double scale = extent.length / static_cast<double>(extent.full);
  const double widening = std::max(scale, 1.0);  // antialiasing when it gets smaller
  const double reach = (interpolation == Interpolation::bicubic ? 2.0 : 1.0) * widening;
  const auto lowest = static_cast<double>(
      std::clamp<std::int64_t>(std::llround(std::floor(extent.start + 1e-6)), 0, extent.limit - 1));
  const auto highest = static_cast<double>(std::clamp<std::int64_t>(
      std::llround(std::ceil(extent.start + extent.length - 1e-6)), 1, extent.limit));
  Axis axis;
  axis.most = static_cast<std::int64_t>(std::ceil(reach)) * 2 + 1;
  axis.weights.resize(static_cast<std::size_t>(extent.out_count * axis.most));
  std::vector<double> exact(static_cast<std::size_t>(axis.most));
  for (std::int64_t i = 0; i < extent.out_count; ++i) {
    const double centre = extent.start + (static_cast<double>(extent.out_first + i) + 0.5) * scale;
    // Rounded to whole pixels as Pillow does.
    auto first = static_cast<std::int64_t>(std::max(centre - reach + 0.5, lowest));
    auto last = static_cast<std::int64_t>(std::min(centre + reach + 0.5, highest));
    first = std::min(first, static_cast<std::int64_t>(highest) - 1);
    last = std::max(last, first + 1);
    double sum = 0.0;
    for (std::int64_t k = 0; k < last - first; ++k) {
      const double at = static_cast<double>(first + k) - centre + 0.5;
      const double weight = weight_at(interpolation, at / widening);
      exact[static_cast<std::size_t>(k)] = weight;
      sum += weight;
    }
    float* out = axis.weights.data() + i * axis.most;
    for (std::int64_t k = 0; k < last - first; ++k) {
      const double share = sum != 0.0 ? 1.0 / sum : 1.0;
      out[k] = static_cast<float>(exact[static_cast<std::size_t>(k)] * share);
    }
    axis.first.push_back(first);
    axis.count.push_back(last - first);
  }
  return axis;
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

// `rows` of source pixels (kGroup of them, side by side for each x) to output pixels.
void across(const float* rows, const Axis& axis, std::int64_t origin, std::uint8_t* const* out) {
  for (std::size_t x = 0; x < axis.first.size(); ++x) {
    const float* weights = axis.of(x);
    const float* from = rows + static_cast<std::size_t>(axis.first[x] - origin) * kGroup;
    std::array<float, kGroup> sums{};
    for (std::int64_t k = 0; k < axis.count[x]; ++k, from += kGroup) {
      const float weight = weights[k];
      for (std::size_t r = 0; r < kGroup; ++r) sums[r] += weight * from[r];
    }
    for (std::size_t r = 0; r < kGroup; ++r) out[r][x] = to_byte(sums[r]);
  }
}

// The rows [top, top + height) of a channel, resized across, to `middle`.
void resize_across(const Image& image, std::int64_t channel, std::int64_t top, std::int64_t height,
                   const Axis& axis, std::vector<std::uint8_t>& middle) {
  const auto width = axis.first.size();
  const std::int64_t origin = *std::ranges::min_element(axis.first);
  const std::int64_t span = axis.first.back() + axis.count.back() - origin;
  std::vector<float> rows(static_cast<std::size_t>(span) * kGroup);
  std::vector<std::uint8_t> spare(width);
  middle.resize(width * static_cast<std::size_t>(height));
  for (std::int64_t y = 0; y < height; y += static_cast<std::int64_t>(kGroup)) {
    std::array<std::uint8_t*, kGroup> out{};
    for (std::size_t r = 0; r < kGroup; ++r) {
      const std::int64_t row = y + static_cast<std::int64_t>(r);
      const bool inside = row < height;
      out[r] = inside ? middle.data() + static_cast<std::size_t>(row) * width : spare.data();
      if (!inside) continue;  // what is left of the group before stays finite
      const std::uint8_t* from = image.row(channel, top + row).data() + origin;
      for (std::size_t x = 0; x < static_cast<std::size_t>(span); ++x) {
        rows[x * kGroup + r] = static_cast<float>(from[x]);
      }
    }
    across(rows.data(), axis, origin, out.data());
  }
}

void resize_down(const std::vector<std::uint8_t>& middle, std::int64_t top, const Axis& axis,
                 std::int64_t channel, Image& out) {
  const auto width = static_cast<std::size_t>(out.size.width);
  std::vector<float> sums(width);
  for (std::size_t y = 0; y < axis.first.size(); ++y) {
    const float* weights = axis.of(y);
    std::ranges::fill(sums, 0.0f);
    for (std::int64_t k = 0; k < axis.count[y]; ++k) {
      const float weight = weights[k];
      const std::uint8_t* from =
          middle.data() + static_cast<std::size_t>(axis.first[y] + k - top) * width;
      for (std::size_t x = 0; x < width; ++x) sums[x] += weight * static_cast<float>(from[x]);
    }
    std::uint8_t* to = out.row(channel, static_cast<std::int64_t>(y)).data();
    for (std::size_t x = 0; x < width; ++x) to[x] = to_byte(sums[x]);
  }
}

}  // namespace

ResizeWindow centre_window(const ImageSize& image, const ImageSize& target, double crop_ratio) {
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  const auto least = [&](std::int64_t side) {
    return std::floor(static_cast<double>(side) / crop_ratio + 1e-9);
  };
  // The side that fits is the one that needs the larger scale.
  const double scale_down = least(target.height) / height;
  const double scale_across = least(target.width) / width;
  ResizeWindow window;
  window.source = {0.0, 0.0, height, width};
  if (scale_down >= scale_across) {
    window.full.height = static_cast<std::int64_t>(least(target.height));
    window.full.width = static_cast<std::int64_t>(least(target.height) * width / height);
  } else {
    window.full.width = static_cast<std::int64_t>(least(target.width));
    window.full.height = static_cast<std::int64_t>(least(target.width) * height / width);
  }
  window.full.height = std::max(window.full.height, target.height);
  window.full.width = std::max(window.full.width, target.width);
  window.crop = target;
  // Half to even, as Python's round.
  window.top = std::lrint(static_cast<double>(window.full.height - target.height) / 2.0);
  window.left = std::lrint(static_cast<double>(window.full.width - target.width) / 2.0);
  return window;
}

void resize(const Image& image, const ResizeWindow& window, Interpolation interpolation,
            Image& out) {
  const Axis across = make_axis({window.source.left, window.source.width, image.size.width,
                                 window.full.width, window.left, window.crop.width},
                                interpolation);
  const Axis down = make_axis({window.source.top, window.source.height, image.size.height,
                               window.full.height, window.top, window.crop.height},
                              interpolation);
  const std::int64_t top = *std::ranges::min_element(down.first);
  const std::int64_t bottom = down.first.back() + down.count.back();
  out.reshape(image.channels, window.crop);
  std::vector<std::uint8_t> middle;
  for (std::int64_t channel = 0; channel < image.channels; ++channel) {
    resize_across(image, channel, top, bottom - top, across, middle);
    resize_down(middle, top, down, channel, out);
  }
}

}  // namespace sbp::experiments
