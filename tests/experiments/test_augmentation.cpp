#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "experiments/data/augmentation.h"
#include "experiments/data/loader.h"
#include "experiments/data/mix.h"
#include "sbp/base/error.h"
#include "tests/experiments/sample_files.h"
#include "tests/experiments/scratch_folder.h"

namespace data = sbp::experiments;
using data::ImageSize;
using sbp::tests::contains;
using sbp::tests::error_text;

namespace {

data::Augmentation make(std::string_view text) {
  return data::make_augmentation(data::parse_augmentation(text));
}

std::string make_error(std::string_view text) {
  return error_text([&] { make(text); });
}

sbp::RandomStream stream_of(int number) {
  return sbp::RandomStream({.seed = 5, .site = static_cast<std::uint32_t>(number)});
}

// Colour images of a size of their own, none like another.
class Pictures : public data::Dataset {
 public:
  explicit Pictures(ImageSize size = {50, 70}) : size_(size) {}
  std::int64_t size() const override { return 40; }
  const data::ImageGeometry& geometry() const override { return geometry_; }
  std::int64_t label(std::int64_t index) const override { return index % 10; }
  ImageSize dimensions(std::int64_t) const override { return size_; }
  void read(std::int64_t index, const ImageSize&, data::Image& image) const override {
    image = sbp::tests::smooth_image(size_);
    for (std::uint8_t& byte : image.bytes) byte = static_cast<std::uint8_t>(byte + 3 * index);
  }

 private:
  ImageSize size_;
  data::ImageGeometry geometry_{3, 32, 32, 10};
};

data::DataSource plain_source() {
  data::DataSource source;
  source.mean.assign(3, 0.0);
  source.standard_deviation.assign(3, 1.0 / 255.0);
  return source;
}

std::vector<data::Batch> epoch(const data::LoaderOptions& options) {
  const Pictures set;
  data::Loader loader(set, plain_source(), options);
  loader.start_epoch(2);
  std::vector<data::Batch> batches;
  while (std::optional<data::Batch> batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

constexpr const char* kRecipe =
    "crop+pad+flip+randaugment+jitter+erase:probability=0.5+mixup+cutmix";

}  // namespace

TEST_CASE("augmentation: the words, their defaults and their other values") {
  const data::Augmentation none = make("");
  CHECK(!none.crop);
  CHECK(!none.mix);
  const data::Augmentation all = make(
      "crop:scale=0.2..0.9,ratio=0.5..2,interpolation=bilinear+pad:pixels=3+flip+"
      "randaugment:magnitude=7,deviation=0,layers=3+jitter:strength=0.1+erase:mode=const+"
      "mixup:alpha=0.2,probability=0.5+cutmix:share=0.25,probability=0.5");
  CHECK(all.crop->scale.first == 0.2);
  CHECK(all.crop->ratio.last == 2.0);
  CHECK(all.crop->interpolation == data::Interpolation::bilinear);
  CHECK(all.padding == 3);
  CHECK(all.flip);
  CHECK(all.rand_augment->layers == 3);
  CHECK(all.jitter == 0.1);
  CHECK(all.erase->noise == false);
  CHECK(all.erase->area.last == 1.0 / 3.0);
  CHECK(all.mix->mixup_alpha == 0.2);
  CHECK(all.mix->cutmix_alpha == 1.0);
  CHECK(all.mix->cutmix_share == 0.25);
  for (const sbp::SpecSchema& schema : data::augmentation_schemas()) {
    const auto specs = data::parse_augmentation(schema.name);
    CHECK(data::parse_augmentation(sbp::to_string(specs)) == specs);
    CHECK_NOTHROW(data::make_augmentation(specs));
  }
  CHECK(contains(make_error("flip+flip"), "'flip' is given twice"));
  CHECK(contains(make_error("crop:scale=1..0.5"), "scale '1..0.5' must not fall"));
  CHECK(contains(make_error("crop:scale=0.5"), "is no range such as 0.5..1"));
  CHECK(contains(make_error("crop:scale=0..1"), "'0' is no number above 0"));
  CHECK(contains(make_error("crop:scale=0.5..1.5"), "nor end above 1"));
  CHECK(contains(make_error("mixup+cutmix:probability=0.5"), "share one probability"));
  CHECK(contains(make_error("flop"), "did you mean 'flip'"));
}

TEST_CASE("augmentation: random crops have the share and aspect asked for, anywhere") {
  const data::CropOptions options;
  const ImageSize size{300, 400};
  double shares = 0.0;
  std::set<double> tops;
  int wide = 0;
  constexpr int kRuns = 4000;
  for (int i = 0; i < kRuns; ++i) {
    sbp::RandomStream stream = stream_of(i);
    const data::Box box = data::draw_crop(options, size, stream);
    REQUIRE(box.top >= 0.0);
    REQUIRE(box.left >= 0.0);
    REQUIRE(box.top + box.height <= 300.0);
    REQUIRE(box.left + box.width <= 400.0);
    const double share = box.height * box.width / (300.0 * 400.0);
    const double ratio = box.width / box.height;
    REQUIRE(share > 0.075);
    REQUIRE(ratio > 0.73);
    REQUIRE(ratio < 1.37);
    shares += share / kRuns;
    wide += ratio > 1.0 ? 1 : 0;
    tops.insert(box.top);
  }
  // A share s fits at aspects above 3/4 s: all of them up to 9/16, -ln(s) / (2 ln(4/3)) beyond.
  // The mean over that from 0.08 on is 0.432; that of 4,000 draws deviates by 0.0035.
  CHECK(shares > 0.42);
  CHECK(shares < 0.445);
  CHECK(wide > kRuns / 2);  // of a wide image more wide boxes fit
  CHECK(tops.size() > 150);
}

TEST_CASE("augmentation: where no crop fits, the centre") {
  sbp::RandomStream stream = stream_of(1);
  const data::Box box = data::draw_crop({.scale = {1.0, 1.0}}, {100, 1000}, stream);
  CHECK(box.height == 100.0);
  CHECK(box.width == 133.0);
  CHECK(box.left == 433.0);
}

TEST_CASE("augmentation: erasing takes as much as asked, in the mean's place or as noise") {
  const ImageSize size{64, 64};
  data::EraseOptions options{.probability = 1.0, .noise = false};
  double shares = 0.0;
  constexpr int kRuns = 2000;
  for (int i = 0; i < kRuns; ++i) {
    std::vector<float> image(3 * 64 * 64, 5.0f);
    sbp::RandomStream stream = stream_of(i);
    data::random_erase(image, 3, size, options, stream);
    const auto erased = std::ranges::count(image, 0.0f);
    REQUIRE(erased % 3 == 0);  // the same rectangle in each channel
    const double share = static_cast<double>(erased) / static_cast<double>(image.size());
    REQUIRE(share < 0.36);
    shares += share / kRuns;
  }
  CHECK(shares > 0.15);  // evenly over 0.02-0.333: 0.177
  CHECK(shares < 0.19);

  options = {.probability = 0.25};
  int hit = 0;
  double sum = 0.0, squares = 0.0, count = 0.0;
  for (int i = 0; i < kRuns; ++i) {
    std::vector<float> image(64 * 64, 100.0f);
    sbp::RandomStream stream = stream_of(i);
    data::random_erase(image, 1, size, options, stream);
    const bool is_hit = std::ranges::any_of(image, [](float value) { return value != 100.0f; });
    hit += is_hit ? 1 : 0;
    for (const float value : image) {
      if (value == 100.0f) continue;
      sum += value;
      squares += value * value;
      count += 1.0;
    }
  }
  CHECK(std::abs(hit - kRuns / 4) < 80);  // standard deviation 19
  CHECK(std::abs(sum / count) < 0.02);
  CHECK(std::abs(squares / count - 1.0) < 0.02);
}

TEST_CASE("augmentation: jitter by at most its strength, and the middle on average") {
  double sum = 0.0;
  constexpr int kRuns = 1000;
  for (int i = 0; i < kRuns; ++i) {
    data::Image image = sbp::tests::flat_image({2, 2}, {100, 100, 100});
    sbp::RandomStream stream = stream_of(i);
    data::colour_jitter(image, 0.4, stream);
    REQUIRE(image.bytes[0] >= 59);
    REQUIRE(image.bytes[0] <= 140);
    sum += image.bytes[0];
  }
  CHECK(std::abs(sum / kRuns - 99.5) < 3.0);
}

TEST_CASE("augmentation: mixup mixes each image with its partner by the share of the targets") {
  std::vector<float> images = {1, 2, 10, 20, 100, 200};  // 3 images of 1x1x2
  const data::MixDraw draw{.share = 0.75};
  data::mix_images(images, 3, 1, {1, 2}, draw);
  CHECK(images == std::vector<float>{25.75f, 51.5f, 10, 20, 75.25f, 150.5f});
  const std::vector<std::int64_t> labels = {0, 2, 1};
  CHECK(data::mixed_targets(labels, 3, draw) ==
        std::vector<float>{0.75f, 0.25f, 0, 0, 0, 1, 0.25f, 0.75f, 0});
  const std::vector<std::int64_t> beyond = {0, 3};
  CHECK_THROWS_AS(data::mixed_targets(beyond, 3, draw), sbp::Error);
}

TEST_CASE("augmentation: cutmix takes a box of the partner, and the targets its area") {
  const ImageSize size{16, 12};
  const data::MixOptions options{.cutmix_alpha = 1.0};
  for (int i = 0; i < 300; ++i) {
    sbp::RandomStream stream = stream_of(i);
    const data::MixDraw draw = data::draw_mix(options, size, stream);
    REQUIRE(draw.is_cutmix);
    std::vector<float> images(2 * 2 * 16 * 12, 1.0f);
    std::fill(images.begin() + 2 * 16 * 12, images.end(), 2.0f);
    data::mix_images(images, 2, 2, size, draw);
    const auto first = std::span(images).first(2 * 16 * 12);
    const auto kept = static_cast<double>(std::ranges::count(first, 1.0f)) / (2.0 * 16.0 * 12.0);
    REQUIRE(kept == doctest::Approx(draw.share));
    const std::vector<std::int64_t> labels = {4, 1};
    const std::vector<float> targets = data::mixed_targets(labels, 5, draw);
    REQUIRE(targets[4] == doctest::Approx(kept));
    REQUIRE(targets[1] + targets[4] == doctest::Approx(1.0));
    REQUIRE(targets[6] == targets[4]);
    REQUIRE(std::ranges::count(std::span(images).last(2 * 16 * 12), 1.0f) ==
            std::ranges::count(first, 2.0f));
  }
}

TEST_CASE("augmentation: shares come from the beta distribution, methods from the coin") {
  const auto moments = [](const data::MixOptions& options) {
    std::array<double, 4> found{};  // mean, variance, cutmix, unmixed
    constexpr int kRuns = 20000;
    for (int i = 0; i < kRuns; ++i) {
      sbp::RandomStream stream = stream_of(i);
      const data::MixDraw draw = data::draw_mix(options, {1000, 1000}, stream);
      found[0] += draw.share / kRuns;
      found[1] += (draw.share - 0.5) * (draw.share - 0.5) / kRuns;
      found[2] += draw.is_cutmix ? 1.0 / kRuns : 0.0;
      found[3] += draw.share == 1.0 ? 1.0 / kRuns : 0.0;
    }
    return found;
  };
  // Variance of beta(a, a): 1 / (4 (2 a + 1)).
  for (const double alpha : {0.2, 0.8, 1.0, 4.0}) {
    const auto found = moments({.mixup_alpha = alpha});
    CHECK(found[0] == doctest::Approx(0.5).epsilon(0.02));
    CHECK(found[1] == doctest::Approx(0.25 / (2.0 * alpha + 1.0)).epsilon(0.03));
    CHECK(found[2] == 0.0);
  }
  const auto both = moments({.mixup_alpha = 0.8, .cutmix_alpha = 1.0, .cutmix_share = 0.3});
  CHECK(both[2] == doctest::Approx(0.3).epsilon(0.05));
  const auto half = moments({.mixup_alpha = 0.8, .probability = 0.5});
  CHECK(half[3] == doctest::Approx(0.5).epsilon(0.05));
}

TEST_CASE("augmentation: the same images whatever the threads, the batches and what came before") {
  data::LoaderOptions options{
      .batch = 5, .seed = 3, .prefetch = 0, .augment = data::parse_augmentation(kRecipe)};
  const std::vector<data::Batch> plain = epoch(options);
  REQUIRE(plain.size() == 8);
  for (const std::int64_t prefetch : {0, 4}) {
    for (const std::int64_t workers : {1, 3}) {
      options.prefetch = prefetch;
      options.workers = workers;
      const std::vector<data::Batch> other = epoch(options);
      REQUIRE(other.size() == 8);
      for (std::size_t i = 0; i < 8; ++i) {
        CHECK(other[i].images == plain[i].images);
        CHECK(other[i].targets == plain[i].targets);
      }
    }
  }
}

TEST_CASE("augmentation: switching one on leaves what another draws") {
  const auto images = [](std::string_view text) {
    std::vector<float> all;
    for (const data::Batch& batch :
         epoch({.batch = 5, .seed = 3, .augment = data::parse_augmentation(text)})) {
      all.insert(all.end(), batch.images.begin(), batch.images.end());
    }
    return all;
  };
  const std::vector<float> cropped = images("crop");
  CHECK(cropped != images(""));
  CHECK(images("crop+randaugment:probability=0") == cropped);
  const std::vector<float> erased = images("crop+erase:probability=1,mode=const");
  std::size_t same = 0;
  for (std::size_t i = 0; i < cropped.size(); ++i) {
    if (erased[i] == 0.0f) continue;
    REQUIRE(erased[i] == cropped[i]);
    ++same;
  }
  CHECK(same > cropped.size() / 2);
  CHECK(same < cropped.size() * 95 / 100);
}

TEST_CASE("augmentation: a loader brings any size to the one of its batches") {
  for (const ImageSize size : {ImageSize{10, 10}, ImageSize{32, 32}, ImageSize{200, 33}}) {
    const Pictures set(size);
    data::DataSource source = plain_source();
    source.crop_ratio = 0.875;
    for (const std::optional<double> ratio : {std::optional<double>(), std::optional(1.0)}) {
      data::Loader loader(set, source, {.batch = 4, .shuffle = false, .crop_ratio = ratio});
      loader.start_epoch(0);
      const std::optional<data::Batch> batch = loader.next();
      REQUIRE(batch);
      CHECK(batch->images.size() == 4 * 3 * 32 * 32);
      if (size != ImageSize{32, 32}) continue;
      data::Image image;
      set.read(0, {}, image);
      const bool equal =
          std::equal(image.bytes.begin(), image.bytes.end(), batch->images.begin(),
                     [](std::uint8_t byte, float value) { return std::abs(value - byte) < 1e-3f; });
      CHECK(equal == ratio.has_value());  // at 0.875 the centre alone is seen, larger
    }
  }
}
