#include "experiments/data/image_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace sbp::experiments {
namespace {

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

std::uint8_t clip(double value) {
  if (value <= 0.0) return 0;
  return value >= 255.0 ? 255 : static_cast<std::uint8_t>(value);
}

template <typename Function>
Table make_table(Function function) {
  Table table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::uint8_t>(function(static_cast<int>(i)));
  }
  return table;
}

void apply(const Table& table, std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = table[byte];
}

Histogram histogram_of(std::span<const std::uint8_t> bytes) {
  Histogram histogram{};
  for (const std::uint8_t byte : bytes) ++histogram[byte];
  return histogram;
}

// ITU-R 601-2 luma in 16 bits, as Pillow's conversion to "L".
void to_grey(const Image& image, std::vector<std::uint8_t>& grey) {
  const auto red = image.plane(0);
  grey.resize(red.size());
  if (image.channels != 3) {
    std::ranges::copy(red, grey.begin());
    return;
  }
  const auto green = image.plane(1);
  const auto blue = image.plane(2);
  for (std::size_t i = 0; i < grey.size(); ++i) {
    const unsigned sum = red[i] * 19595u + green[i] * 38470u + blue[i] * 7471u + 0x8000u;
    grey[i] = static_cast<std::uint8_t>(sum >> 16);
  }
}

// from + factor (to - from), cut to bytes.
void blend(std::span<const std::uint8_t> from, double factor, std::span<std::uint8_t> to) {
  const auto share = static_cast<float>(factor);
  for (std::size_t i = 0; i < to.size(); ++i) {
    const auto start = static_cast<float>(from[i]);
    const float mixed = start + share * (static_cast<float>(to[i]) - start);
    to[i] = static_cast<std::uint8_t>(std::clamp(mixed, 0.0f, 255.0f));
  }
}

void blend_with(int level, double factor, std::span<std::uint8_t> bytes) {
  const auto start = static_cast<float>(level);
  const auto share = static_cast<float>(factor);
  apply(make_table([&](int byte) {
          const float mixed = start + share * (static_cast<float>(byte) - start);
          return std::clamp(mixed, 0.0f, 255.0f);
        }),
        bytes);
}

// Above what rounding takes off a sum of weights times bytes, which is then cut to a whole number:
// an even surface must stay as it is.
constexpr float kSumError = 1e-4f;

// Weights of the four pixels around a place `d` after the second one; the cubic of Pillow's
// transforms (a = -1), or linear. Gives the first and one past the last that is not 0.
struct Taps {
  std::array<float, 4> weights{};
  int first = 0;
  int last = 4;
};

Taps make_taps(double d, Interpolation interpolation) {
  Taps taps;
  if (d == 0.0) {
    taps.weights[1] = 1.0f;
    taps.first = 1;
    taps.last = 2;
  } else if (interpolation == Interpolation::bilinear) {
    taps.weights[1] = static_cast<float>(1.0 - d);
    taps.weights[2] = static_cast<float>(d);
    taps.first = 1;
    taps.last = 3;
  } else {
    const double d2 = d * d, d3 = d2 * d;
    taps.weights = {static_cast<float>(-d + 2.0 * d2 - d3), static_cast<float>(1.0 - 2.0 * d2 + d3),
                    static_cast<float>(d + d2 - d3), static_cast<float>(d3 - d2)};
  }
  return taps;
}

}  // namespace

void auto_contrast(Image& image) {
  for (std::int64_t channel = 0; channel < image.channels; ++channel) {
    const auto bytes = image.plane(channel);
    const auto [lowest, highest] = std::ranges::minmax_element(bytes);
    if (bytes.empty() || *lowest == *highest) continue;
    const double scale = 255.0 / (*highest - *lowest);
    const double offset = -*lowest * scale;
    apply(make_table([&](int byte) { return clip(byte * scale + offset); }), bytes);
  }
}

void equalize(Image& image) {
  for (std::int64_t channel = 0; channel < image.channels; ++channel) {
    const auto bytes = image.plane(channel);
    const Histogram histogram = histogram_of(bytes);
    const auto last = std::find_if(histogram.rbegin(), histogram.rend(),
                                   [](std::int64_t count) { return count != 0; });
    if (last == histogram.rend()) continue;
    const std::int64_t step = (static_cast<std::int64_t>(bytes.size()) - *last) / 255;
    if (step == 0) continue;  // one value only, or too few pixels
    std::int64_t sum = step / 2;
    apply(make_table([&](int byte) {
            const std::int64_t level = sum / step;
            sum += histogram[static_cast<std::size_t>(byte)];
            return std::min<std::int64_t>(level, 255);
          }),
          bytes);
  }
}

void invert(Image& image) {
  for (std::uint8_t& byte : image.bytes) byte = static_cast<std::uint8_t>(255 - byte);
}

void posterize(Image& image, int bits) {
  const auto mask = static_cast<std::uint8_t>(0xFF00 >> std::clamp(bits, 0, 8));
  for (std::uint8_t& byte : image.bytes) byte &= mask;
}

void solarize(Image& image, int threshold) {
  apply(make_table([&](int byte) { return byte < threshold ? byte : 255 - byte; }), image.bytes);
}

void solarize_add(Image& image, int amount) {
  apply(make_table([&](int byte) { return byte < 128 ? std::clamp(byte + amount, 0, 255) : byte; }),
        image.bytes);
}

void adjust_brightness(Image& image, double factor) {
  blend_with(0, factor, image.bytes);
}

void adjust_contrast(Image& image, double factor) {
  if (image.bytes.empty()) return;
  std::vector<std::uint8_t> grey;
  to_grey(image, grey);
  std::uint64_t sum = 0;
  for (const std::uint8_t byte : grey) sum += byte;
  const double mean = static_cast<double>(sum) / static_cast<double>(grey.size());
  blend_with(static_cast<int>(mean + 0.5), factor, image.bytes);
}

void adjust_colour(Image& image, double factor) {
  if (image.channels != 3) return;  // grey is its own grey form
  std::vector<std::uint8_t> grey;
  to_grey(image, grey);
  for (std::int64_t channel = 0; channel < 3; ++channel) {
    blend(grey, factor, image.plane(channel));
  }
}

// Smoothed by (1 1 1; 1 5 1; 1 1 1) / 13; the outermost pixels are left as they are.
void adjust_sharpness(Image& image, double factor) {
  const auto width = static_cast<std::size_t>(image.size.width);
  if (image.size.width < 3 || image.size.height < 3) return;
  std::vector<std::uint8_t> smooth(static_cast<std::size_t>(image.size.pixels()));
  for (std::int64_t channel = 0; channel < image.channels; ++channel) {
    const auto plane = image.plane(channel);
    std::ranges::copy(plane, smooth.begin());
    for (std::size_t y = 1; y + 1 < static_cast<std::size_t>(image.size.height); ++y) {
      const std::uint8_t* above = plane.data() + (y - 1) * width;
      const std::uint8_t* here = above + width;
      const std::uint8_t* below = here + width;
      std::uint8_t* out = smooth.data() + y * width;
      for (std::size_t x = 1; x + 1 < width; ++x) {
        const int sum = above[x - 1] + above[x] + above[x + 1] + here[x - 1] + 5 * here[x] +
                        here[x + 1] + below[x - 1] + below[x] + below[x + 1];
        out[x] = static_cast<std::uint8_t>((2 * sum + 13) / 26);  // rounded
      }
    }
    blend(smooth, factor, plane);
  }
}

Affine rotation(double degrees, const ImageSize& size) {
  // Exact quarters, and no sums of rounding errors where a pixel's place is whole.
  const auto rounded = [](double value) { return std::round(value * 1e15) / 1e15; };
  const double angle = -degrees * std::numbers::pi / 180.0;
  const double cosine = rounded(std::cos(angle)), sine = rounded(std::sin(angle));
  const double x = static_cast<double>(size.width) / 2.0;
  const double y = static_cast<double>(size.height) / 2.0;
  return {cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y};
}

void transform(Image& image, const Affine& matrix, Interpolation interpolation,
               std::span<const std::uint8_t> fill) {
  if (matrix == Affine{1, 0, 0, 0, 1, 0}) return;
  const Image from = image;
  const auto [a, b, c, d, e, f] = matrix;
  const std::int64_t width = image.size.width, height = image.size.height;
  std::size_t place = 0;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x, ++place) {
      const double across = static_cast<double>(x) + 0.5, down = static_cast<double>(y) + 0.5;
      const double from_x = a * across + b * down + c, from_y = d * across + e * down + f;
      if (!(from_x >= 0.0 && from_x < static_cast<double>(width) && from_y >= 0.0 &&
            from_y < static_cast<double>(height))) {
        for (std::int64_t channel = 0; channel < image.channels; ++channel) {
          image.plane(channel)[place] = fill[static_cast<std::size_t>(channel)];
        }
        continue;
      }
      const double left = std::floor(from_x - 0.5), top = std::floor(from_y - 0.5);
      const Taps taps_x = make_taps(from_x - 0.5 - left, interpolation);
      const Taps taps_y = make_taps(from_y - 0.5 - top, interpolation);
      std::array<std::int64_t, 4> columns{}, rows{};
      for (int k = 0; k < 4; ++k) {
        const auto i = static_cast<std::size_t>(k);
        columns[i] =
            std::clamp<std::int64_t>(static_cast<std::int64_t>(left) - 1 + k, 0, width - 1);
        rows[i] =
            std::clamp<std::int64_t>(static_cast<std::int64_t>(top) - 1 + k, 0, height - 1) * width;
      }
      for (std::int64_t channel = 0; channel < image.channels; ++channel) {
        const std::uint8_t* const plane = from.plane(channel).data();
        float sum = 0.0f;
        for (auto j = static_cast<std::size_t>(taps_y.first);
             j < static_cast<std::size_t>(taps_y.last); ++j) {
          float row = 0.0f;
          for (auto i = static_cast<std::size_t>(taps_x.first);
               i < static_cast<std::size_t>(taps_x.last); ++i) {
            row += taps_x.weights[i] * static_cast<float>(plane[rows[j] + columns[i]]);
          }
          sum += taps_y.weights[j] * row;
        }
        image.plane(channel)[place] =
            static_cast<std::uint8_t>(std::clamp(sum + kSumError, 0.0f, 255.0f));
      }
    }
  }
}

}  // namespace sbp::experiments
