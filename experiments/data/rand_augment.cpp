#include "experiments/data/rand_augment.h"

#include <algorithm>

#include "experiments/data/image_ops.h"

namespace sbp::experiments {
namespace {

constexpr double kMaximumMagnitude = 10.0;

}  // namespace

void apply_operation(Image& image, RandOperation operation, const RandStrength& strength,
                     const RandSurroundings& surroundings) {
  const double level = strength.magnitude / kMaximumMagnitude;
  const double way = strength.negative ? -1.0 : 1.0;
  const double factor = 1.0 + way * 0.9 * level;
  const auto warp = [&](const Affine& matrix) {
    transform(image, matrix, surroundings.interpolation, surroundings.fill);
  };
  const auto across = static_cast<double>(image.size.width);
  const auto down = static_cast<double>(image.size.height);
  switch (operation) {
    case RandOperation::auto_contrast: auto_contrast(image); break;
    case RandOperation::equalize: equalize(image); break;
    case RandOperation::invert: invert(image); break;
    case RandOperation::rotate: warp(rotation(way * 30.0 * level, image.size)); break;
    // timm's "increasing" form counts 4 bits down, and so cuts to 4 bits at magnitude 0.
    case RandOperation::posterize: posterize(image, 4 - static_cast<int>(4.0 * level)); break;
    case RandOperation::solarize: solarize(image, 256 - static_cast<int>(256.0 * level)); break;
    case RandOperation::solarize_add: solarize_add(image, static_cast<int>(110.0 * level)); break;
    case RandOperation::colour: adjust_colour(image, factor); break;
    case RandOperation::contrast: adjust_contrast(image, factor); break;
    case RandOperation::brightness: adjust_brightness(image, factor); break;
    case RandOperation::sharpness: adjust_sharpness(image, factor); break;
    case RandOperation::shear_x: warp({1, way * 0.3 * level, 0, 0, 1, 0}); break;
    case RandOperation::shear_y: warp({1, 0, 0, way * 0.3 * level, 1, 0}); break;
    case RandOperation::translate_x: warp({1, 0, way * 0.45 * level * across, 0, 1, 0}); break;
    case RandOperation::translate_y: warp({1, 0, 0, 0, 1, way * 0.45 * level * down}); break;
  }
}

void rand_augment(Image& image, const RandAugmentOptions& options,
                  std::span<const std::uint8_t> fill, RandomStream& stream) {
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    const auto operation = static_cast<RandOperation>(stream.below(kRandOperations));
    const bool is_done = stream.uniform() < options.probability;
    const double magnitude = options.magnitude + options.deviation * stream.normal();
    const RandStrength strength = {std::clamp(magnitude, 0.0, kMaximumMagnitude),
                                   stream.below(2) == 1};
    if (is_done) apply_operation(image, operation, strength, {options.interpolation, fill});
  }
}

}  // namespace sbp::experiments
