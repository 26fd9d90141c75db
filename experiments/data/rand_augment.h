// RandAugment's operations and how strong they are (timm's `rand-m9-mstd0.5-inc1`).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "experiments/data/augmentation.h"
#include "experiments/data/image.h"
#include "sbp/random.h"

namespace sbp::experiments {

enum class RandOperation : std::uint8_t {
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  solarize,
  solarize_add,
  colour,
  contrast,
  brightness,
  sharpness,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
};
inline constexpr std::size_t kRandOperations = 15;

struct RandStrength {
  double magnitude = 0.0;  // 0 to 10; at 0 the first three and posterize still change images
  bool negative = false;   // the other direction, where there is one
};

// `fill`: a byte for each channel, for pixels from outside.
struct RandSurroundings {
  Interpolation interpolation = Interpolation::bicubic;
  std::span<const std::uint8_t> fill;
};

void apply_operation(Image& image, RandOperation operation, const RandStrength& strength,
                     const RandSurroundings& surroundings);

// Draws and applies the layers. Every layer takes as many numbers whatever is done.
void rand_augment(Image& image, const RandAugmentOptions& options,
                  std::span<const std::uint8_t> fill, RandomStream& stream);

}  // namespace sbp::experiments
