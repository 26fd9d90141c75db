#include "experiments/data/mix.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// Marsaglia and Tsang 2000; below 1 by the power of a uniform number.
double gamma(double alpha, RandomStream& stream) {
  if (alpha < 1.0) {
    const double power = std::pow(1.0 - stream.uniform(), 1.0 / alpha);
    return gamma(alpha + 1.0, stream) * power;
  }
  const double d = alpha - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = stream.normal();
    const double root = 1.0 + c * x;
    const double u = 1.0 - stream.uniform();
    if (root <= 0.0) continue;
    const double v = root * root * root;
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double symmetric_beta(double alpha, RandomStream& stream) {
  const double a = gamma(alpha, stream);
  const double b = gamma(alpha, stream);
  // A small alpha can bring both below what a double holds: then one of the two ends.
  if (a + b > 0.0) return a / (a + b);
  return stream.below(2) == 1 ? 1.0 : 0.0;
}

void draw_box(const ImageSize& size, RandomStream& stream, MixDraw& draw) {
  const double side = std::sqrt(1.0 - draw.share);
  const auto height = static_cast<std::int64_t>(static_cast<double>(size.height) * side);
  const auto width = static_cast<std::int64_t>(static_cast<double>(size.width) * side);
  const auto y = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(size.height)));
  const auto x = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(size.width)));
  draw.top = std::clamp<std::int64_t>(y - height / 2, 0, size.height);
  draw.bottom = std::clamp<std::int64_t>(y + height / 2, 0, size.height);
  draw.left = std::clamp<std::int64_t>(x - width / 2, 0, size.width);
  draw.right = std::clamp<std::int64_t>(x + width / 2, 0, size.width);
  // The share is what the box really leaves.
  const std::int64_t box = (draw.bottom - draw.top) * (draw.right - draw.left);
  draw.share = 1.0 - static_cast<double>(box) / static_cast<double>(size.pixels());
}

void swap_boxes(std::span<float> one, std::span<float> other, const ImageSize& size,
                const MixDraw& draw) {
  for (std::size_t plane = 0; plane < one.size();
       plane += static_cast<std::size_t>(size.pixels())) {
    for (std::int64_t y = draw.top; y < draw.bottom; ++y) {
      const std::size_t row = plane + static_cast<std::size_t>(y * size.width);
      const auto width = static_cast<std::size_t>(draw.right - draw.left);
      std::ranges::swap_ranges(one.subspan(row + static_cast<std::size_t>(draw.left), width),
                               other.subspan(row + static_cast<std::size_t>(draw.left), width));
    }
  }
}

void blend_both(std::span<float> one, std::span<float> other, double share) {
  const auto first = static_cast<float>(share);
  const auto second = static_cast<float>(1.0 - share);
  for (std::size_t i = 0; i < one.size(); ++i) {
    const float a = one[i], b = other[i];
    one[i] = first * a + second * b;
    other[i] = first * b + second * a;
  }
}

}  // namespace

MixDraw draw_mix(const MixOptions& options, const ImageSize& size, RandomStream& stream) {
  MixDraw draw;
  if (stream.uniform() >= options.probability) return draw;
  const bool coin = stream.uniform() < options.cutmix_share;
  draw.is_cutmix = options.cutmix_alpha > 0.0 && (options.mixup_alpha <= 0.0 || coin);
  draw.share = symmetric_beta(draw.is_cutmix ? options.cutmix_alpha : options.mixup_alpha, stream);
  if (draw.is_cutmix) draw_box(size, stream, draw);
  return draw;
}

void mix_images(std::span<float> images, std::int64_t batch, std::int64_t channels,
                const ImageSize& size, const MixDraw& draw) {
  if (draw.share == 1.0) return;
  const auto elements = static_cast<std::size_t>(channels * size.pixels());
  // A pair at a time, in place; the middle one of an odd batch is mixed with itself.
  for (std::int64_t i = 0; i < batch / 2; ++i) {
    const auto one = images.subspan(static_cast<std::size_t>(i) * elements, elements);
    const auto other = images.subspan(static_cast<std::size_t>(batch - 1 - i) * elements, elements);
    if (draw.is_cutmix) {
      swap_boxes(one, other, size, draw);
    } else {
      blend_both(one, other, draw.share);
    }
  }
}

std::vector<float> mixed_targets(std::span<const std::int64_t> labels, std::int64_t classes,
                                 const MixDraw& draw) {
  std::vector<float> targets(labels.size() * static_cast<std::size_t>(classes), 0.0f);
  const auto first = static_cast<float>(draw.share);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t own = labels[i];
    const std::int64_t other = labels[labels.size() - 1 - i];
    if (own < 0 || own >= classes) {
      throw Error(concat("label '", own, "' is outside the ", classes, " classes of the data"));
    }
    float* const row = targets.data() + i * static_cast<std::size_t>(classes);
    if (own == other) {
      row[own] = 1.0f;  // whatever the share
    } else {
      row[own] = first;
      row[other] = 1.0f - first;
    }
  }
  return targets;
}

}  // namespace sbp::experiments
