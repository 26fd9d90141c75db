// What training does to images: `--augment crop+flip+randaugment+erase+mixup+cutmix`, after timm.
//
// Whatever the order of the words, it is done in this one: crop, pad, flip, randaugment, jitter (on
// bytes), normalisation, erase, and mixup or cutmix of the batch. Each draws from a stream of its
// own keyed (seed, epoch, sample), or (seed, epoch, batch) for mixing, so that none changes another
// and neither order, threads nor resuming change any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "experiments/data/image.h"
#include "experiments/data/resize.h"
#include "sbp/base/spec.h"
#include "sbp/random.h"

namespace sbp::experiments {

struct Interval {
  double first = 0.0;
  double last = 0.0;
};

// Inception's crop (Szegedy et al. 2015, section 6): a random share of the area at a random aspect.
struct CropOptions {
  Interval scale = {0.08, 1.0};
  Interval ratio = {3.0 / 4.0, 4.0 / 3.0};  // width to height
  Interpolation interpolation = Interpolation::bicubic;
};

// Cubuk et al. 2019, in timm's form with increasing magnitudes (rand-m9-mstd0.5-inc1).
struct RandAugmentOptions {
  double magnitude = 9.0;    // of 10
  double deviation = 0.5;    // of the magnitude, drawn anew for each operation
  std::int64_t layers = 2;   // operations an image
  double probability = 0.5;  // that one of them is done
  Interpolation interpolation = Interpolation::bicubic;
};

// Zhong et al. 2017.
struct EraseOptions {
  double probability = 0.25;
  Interval area = {0.02, 1.0 / 3.0};  // share of the image
  Interval ratio = {0.3, 1.0 / 0.3};  // height to width
  bool noise = true;                  // a normal draw for each value; otherwise the mean
};

// Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019), one draw a batch.
struct MixOptions {
  double mixup_alpha = 0.0;  // 0: no mixup
  double cutmix_alpha = 0.0;
  double cutmix_share = 0.5;  // of the mixed batches, where both are on
  double probability = 1.0;   // that a batch is mixed
};

struct Augmentation {
  std::optional<CropOptions> crop;
  std::int64_t padding = 0;  // black pixels around, then a random crop of the size before
  bool flip = false;
  std::optional<RandAugmentOptions> rand_augment;
  double jitter = 0.0;  // brightness, contrast and saturation by a factor in [1 - it, 1 + it]
  std::optional<EraseOptions> erase;
  std::optional<MixOptions> mix;

  bool changes_colours() const { return rand_augment || jitter > 0.0; }
};

const std::vector<SpecSchema>& augmentation_schemas();

// The specs of `--augment`; nothing for an empty text.
std::vector<Spec> parse_augmentation(std::string_view text);

// Throws UsageError for a name given twice, and for values that do not go together.
Augmentation make_augmentation(std::span<const Spec> specs);

// Which operation of a sample a stream is for; it takes the rank's place in the key, for a sample's
// draws are the same whichever process reads it.
enum class AugmentStream : std::uint32_t { place, crop, rand_augment, jitter, erase, mix };

struct SampleKey {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
  std::int64_t sample = 0;  // or batch
};

RandomStream augment_stream(const SampleKey& key, AugmentStream what);

// A random crop's box, in whole pixels of an image of that size.
Box draw_crop(const CropOptions& options, const ImageSize& image, RandomStream& stream);

// Brightness, contrast and saturation in random order.
void colour_jitter(Image& image, double strength, RandomStream& stream);

// The boxes of `erase` that are hit: at most one. `image` [channels, height, width], normalised.
void random_erase(std::span<float> image, std::int64_t channels, const ImageSize& size,
                  const EraseOptions& options, RandomStream& stream);

}  // namespace sbp::experiments
