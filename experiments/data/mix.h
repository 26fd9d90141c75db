// Mixup and CutMix of a normalised batch with its own reverse, and the dense targets that follow.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "experiments/data/augmentation.h"
#include "experiments/data/image.h"
#include "sbp/random.h"

namespace sbp::experiments {

// What one batch is mixed by: image i becomes share * image i + (1 - share) * image (size - 1 - i),
// everywhere (mixup) or inside the box alone, which is then taken from the other image whole
// (cutmix; `share` is what is left of the first image's area).
struct MixDraw {
  double share = 1.0;  // 1: not mixed
  bool is_cutmix = false;
  std::int64_t top = 0;  // the box, in pixels
  std::int64_t left = 0;
  std::int64_t bottom = 0;
  std::int64_t right = 0;
};

MixDraw draw_mix(const MixOptions& options, const ImageSize& size, RandomStream& stream);

// `images` [labels.size(), channels, size.height, size.width].
void mix_images(std::span<float> images, std::int64_t batch, std::int64_t channels,
                const ImageSize& size, const MixDraw& draw);

// [labels.size(), classes]; each row sums to 1.
std::vector<float> mixed_targets(std::span<const std::int64_t> labels, std::int64_t classes,
                                 const MixDraw& draw);

}  // namespace sbp::experiments
