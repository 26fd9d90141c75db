#include "experiments/data/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "experiments/data/image_ops.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::experiments {
namespace {

constexpr int kAttempts = 10;  // to find a box that fits, as torchvision and timm

KeySchema real_key(std::string key, std::string value, std::string help, double minimum,
                   double maximum) {
  return {.key = std::move(key),
          .kind = ValueKind::real,
          .default_value = std::move(value),
          .help = std::move(help),
          .minimum = minimum,
          .maximum = maximum};
}

KeySchema positive_key(std::string key, std::string value, std::string help, double maximum) {
  KeySchema schema = real_key(std::move(key), std::move(value), std::move(help), 0.0, maximum);
  schema.open_minimum = true;
  return schema;
}

KeySchema integer_key(std::string key, std::string value, std::string help, double minimum,
                      double maximum) {
  KeySchema schema = real_key(std::move(key), std::move(value), std::move(help), minimum, maximum);
  schema.kind = ValueKind::integer;
  return schema;
}

KeySchema text_key(std::string key, std::string value, std::string help) {
  return {.key = std::move(key), .default_value = std::move(value), .help = std::move(help)};
}

double parse_real(std::string_view text, const std::string& what) {
  double value = 0.0;
  if (parse_number(text, value) != std::errc() || !(value > 0.0) || value > 1e6) {
    throw UsageError(concat(what, ": '", text, "' is no number above 0"));
  }
  return value;
}

// "0.08..1", both above 0, the first no larger.
Interval parse_interval(const Spec& spec, std::string_view key, double most) {
  const std::string& text = spec.text(key);
  const std::string what = concat("augmentation '", spec.name, "': ", key, " '", text, "'");
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) throw UsageError(concat(what, " is no range such as 0.5..1"));
  const Interval interval = {parse_real(std::string_view(text).substr(0, dots), what),
                             parse_real(std::string_view(text).substr(dots + 2), what)};
  if (interval.first > interval.last || interval.last > most) {
    throw UsageError(concat(what, " must not fall, nor end above ", most));
  }
  return interval;
}

Interpolation interpolation_of(const Spec& spec) {
  return spec.text("interpolation") == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
}

void add_mix(Augmentation& all, const Spec& spec) {
  const bool other = all.mix.has_value();
  MixOptions& mix = all.mix ? *all.mix : all.mix.emplace();
  const double probability = spec.real("probability");
  if (other && probability != mix.probability) {
    throw UsageError(
        concat("mixup and cutmix share one probability of mixing a batch, but are "
               "given '",
               mix.probability, "' and '", probability, "'"));
  }
  mix.probability = probability;
  if (spec.name == "mixup") {
    mix.mixup_alpha = spec.real("alpha");
  } else {
    mix.cutmix_alpha = spec.real("alpha");
    mix.cutmix_share = spec.real("share");
  }
}

void add(Augmentation& all, const Spec& spec) {
  if (spec.name == "crop") {
    all.crop = {.scale = parse_interval(spec, "scale", 1.0),
                .ratio = parse_interval(spec, "ratio", 1000.0),
                .interpolation = interpolation_of(spec)};
  } else if (spec.name == "pad") {
    all.padding = spec.integer("pixels");
  } else if (spec.name == "flip") {
    all.flip = true;
  } else if (spec.name == "randaugment") {
    all.rand_augment = {.magnitude = spec.real("magnitude"),
                        .deviation = spec.real("deviation"),
                        .layers = spec.integer("layers"),
                        .probability = spec.real("probability"),
                        .interpolation = interpolation_of(spec)};
  } else if (spec.name == "jitter") {
    all.jitter = spec.real("strength");
  } else if (spec.name == "erase") {
    all.erase = {.probability = spec.real("probability"),
                 .area = parse_interval(spec, "area", 1.0),
                 .ratio = parse_interval(spec, "ratio", 1000.0),
                 .noise = spec.text("mode") == "pixel"};
  } else {
    add_mix(all, spec);
  }
}

double draw(const Interval& interval, RandomStream& stream) {
  return interval.first + (interval.last - interval.first) * stream.uniform();
}

// Evenly in the logarithm, so that wide is as likely as high.
double draw_ratio(const Interval& interval, RandomStream& stream) {
  return std::exp(draw({std::log(interval.first), std::log(interval.last)}, stream));
}

std::int64_t below(std::int64_t bound, RandomStream& stream) {
  return static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(bound)));
}

Box box_of(std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  return {static_cast<double>(top), static_cast<double>(left), static_cast<double>(height),
          static_cast<double>(width)};
}

}  // namespace

const std::vector<SpecSchema>& augmentation_schemas() {
  static const std::vector<SpecSchema> schemas = {
      {"crop",
       "a random part, resized to the model's size",
       {text_key("scale", "0.08..1", "share of the image's area"),
        text_key("ratio", "0.75..1.3333333333333333", "of width to height"),
        word_key("interpolation", {"bicubic", "bilinear"}, "of the resizing")}},
      {"pad",
       "black pixels around, then a random crop",
       {integer_key("pixels", "4", "at each side", 1, 1024)}},
      {"flip", "left to right, every second image", {}},
      {"randaugment",
       "random operations on colours and shape (timm's rand-m9-mstd0.5-inc1)",
       {real_key("magnitude", "9", "how strong, of 10", 0, 10),
        real_key("deviation", "0.5", "of the magnitude, drawn for each operation", 0, 10),
        integer_key("layers", "2", "operations drawn for each image", 1, 100),
        real_key("probability", "0.5", "that a drawn operation is done", 0, 1),
        word_key("interpolation", {"bicubic", "bilinear"}, "of rotations, shears and shifts")}},
      {"jitter",
       "brightness, contrast and saturation, in random order",
       {positive_key("strength", "0.4", "largest change of each, of 1", 1)}},
      {"erase",
       "a random rectangle erased",
       {positive_key("probability", "0.25", "that an image has one", 1),
        text_key("area", "0.02..0.3333333333333333", "of the rectangle, share of the image"),
        text_key("ratio", "0.3..3.3333333333333335", "of height to width"),
        word_key("mode", {"pixel", "const"}, "normal noise, or the mean colour")}},
      {"mixup",
       "batches mixed with their own reverse, targets too",
       {positive_key("alpha", "0.8", "of the beta distribution", 1000),
        positive_key("probability", "1", "that a batch is mixed", 1)}},
      {"cutmix",
       "a rectangle of each image from the reversed batch, targets by its area",
       {positive_key("alpha", "1", "of the beta distribution", 1000),
        real_key("share", "0.5", "of the mixed batches, where mixup is on as well", 0, 1),
        positive_key("probability", "1", "that a batch is mixed", 1)}},
  };
  return schemas;
}

std::vector<Spec> parse_augmentation(std::string_view text) {
  if (text.empty()) return {};
  return parse_specs(text, "augmentation", augmentation_schemas());
}

Augmentation make_augmentation(std::span<const Spec> specs) {
  Augmentation all;
  std::set<std::string> names;
  for (const Spec& spec : specs) {
    if (!names.insert(spec.name).second) {
      throw UsageError(concat("augmentation '", spec.name, "' is given twice"));
    }
    add(all, spec);
  }
  return all;
}

RandomStream augment_stream(const SampleKey& key, AugmentStream what) {
  return RandomStream({.seed = key.seed,
                       .step = static_cast<std::uint32_t>(key.epoch),
                       .site = static_cast<std::uint32_t>(key.sample),
                       .purpose = Purpose::augment,
                       .rank = static_cast<std::uint32_t>(what)});
}

Box draw_crop(const CropOptions& options, const ImageSize& image, RandomStream& stream) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double area = static_cast<double>(image.pixels()) * draw(options.scale, stream);
    const double ratio = draw_ratio(options.ratio, stream);
    const auto width = static_cast<std::int64_t>(std::lrint(std::sqrt(area * ratio)));
    const auto height = static_cast<std::int64_t>(std::lrint(std::sqrt(area / ratio)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const std::int64_t top = below(image.height - height + 1, stream);
    return box_of(top, below(image.width - width + 1, stream), height, width);
  }
  // The centre, as much of it as the aspect allows.
  const double aspect = static_cast<double>(image.width) / static_cast<double>(image.height);
  std::int64_t width = image.width;
  std::int64_t height = image.height;
  if (aspect < options.ratio.first) {
    height = std::lrint(static_cast<double>(width) / options.ratio.first);
  } else if (aspect > options.ratio.last) {
    width = std::lrint(static_cast<double>(height) * options.ratio.last);
  }
  width = std::clamp<std::int64_t>(width, 1, image.width);
  height = std::clamp<std::int64_t>(height, 1, image.height);
  return box_of((image.height - height) / 2, (image.width - width) / 2, height, width);
}

void colour_jitter(Image& image, double strength, RandomStream& stream) {
  std::array<std::int64_t, 3> order = {0, 1, 2};
  shuffle(order, stream);
  std::array<double, 3> factors{};
  const Interval range = {std::max(0.0, 1.0 - strength), 1.0 + strength};
  for (double& factor : factors) factor = draw(range, stream);
  constexpr std::array kAdjust = {&adjust_brightness, &adjust_contrast, &adjust_colour};
  for (const std::int64_t which : order) {
    const auto i = static_cast<std::size_t>(which);
    kAdjust[i](image, factors[i]);
  }
}

void random_erase(std::span<float> image, std::int64_t channels, const ImageSize& size,
                  const EraseOptions& options, RandomStream& stream) {
  if (stream.uniform() >= options.probability) return;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double area = static_cast<double>(size.pixels()) * draw(options.area, stream);
    const double ratio = draw_ratio(options.ratio, stream);
    const auto height = static_cast<std::int64_t>(std::lrint(std::sqrt(area * ratio)));
    const auto width = static_cast<std::int64_t>(std::lrint(std::sqrt(area / ratio)));
    if (width >= size.width || height >= size.height) continue;
    const std::int64_t top = below(size.height - height + 1, stream);
    const std::int64_t left = below(size.width - width + 1, stream);
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      for (std::int64_t y = top; y < top + height; ++y) {
        float* const row = image.data() + (channel * size.height + y) * size.width;
        for (std::int64_t x = left; x < left + width; ++x) {
          row[x] = options.noise ? static_cast<float>(stream.normal()) : 0.0f;
        }
      }
    }
    return;
  }
}

}  // namespace sbp::experiments
