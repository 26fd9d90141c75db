#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "experiments/data/augmentation.h"
#include "experiments/data/loader.h"
#include "sbp/base/error.h"

namespace data = sbp::experiments;
using data::Batch;
using data::Loader;
using data::LoaderOptions;

namespace {

// Every pixel of an image has a value of its own: the sample's number in the first row's corner
// would not survive a crop, so it is the label that tells the sample.
class Numbered : public data::Dataset {
 public:
  explicit Numbered(std::int64_t size, data::ImageGeometry geometry = {2, 3, 5, 1000})
      : size_(size), geometry_(geometry) {}

  std::int64_t size() const override { return size_; }
  const data::ImageGeometry& geometry() const override { return geometry_; }
  std::int64_t label(std::int64_t index) const override { return index; }
  data::ImageSize dimensions(std::int64_t) const override {
    return {geometry_.height, geometry_.width};
  }
  void read(std::int64_t index, const data::ImageSize&, data::Image& image) const override {
    ++reads;
    if (index == failing) throw sbp::Error("cannot read sample 'x'");
    image.reshape(geometry_.channels, dimensions(index));
    for (std::size_t i = 0; i < image.bytes.size(); ++i) {
      image.bytes[i] = static_cast<std::uint8_t>(i + 1);
    }
  }

  mutable std::atomic<std::int64_t> reads = 0;
  std::int64_t failing = -1;

 private:
  std::int64_t size_;
  data::ImageGeometry geometry_;
};

// With mean 0 and deviation 1/255 a normalised pixel is the pixel.
data::DataSource plain_source(std::size_t channels = 2) {
  data::DataSource source;
  source.mean.assign(channels, 0.0);
  source.standard_deviation.assign(channels, 1.0 / 255.0);
  return source;
}

std::vector<Batch> epoch(Loader& loader, std::int64_t number) {
  std::vector<Batch> batches;
  loader.start_epoch(number);
  while (std::optional<Batch> batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

std::vector<Batch> epoch(const data::Dataset& set, const LoaderOptions& options,
                         std::int64_t number) {
  Loader loader(set, plain_source(static_cast<std::size_t>(set.geometry().channels)), options);
  return epoch(loader, number);
}

std::vector<std::int64_t> order(const std::vector<Batch>& batches) {
  std::vector<std::int64_t> labels;
  for (const Batch& batch : batches) {
    labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
  }
  return labels;
}

// Each sample's image, by its label.
std::map<std::int64_t, std::vector<float>> images_of(const std::vector<Batch>& batches) {
  std::map<std::int64_t, std::vector<float>> images;
  for (const Batch& batch : batches) {
    const auto elements = static_cast<std::ptrdiff_t>(batch.images.size()) / batch.size;
    for (std::int64_t i = 0; i < batch.size; ++i) {
      const auto start = batch.images.begin() + i * elements;
      images.emplace(batch.labels[static_cast<std::size_t>(i)],
                     std::vector<float>(start, start + elements));
    }
  }
  return images;
}

// The image that Numbered holds, moved and turned the slow way.
std::vector<float> reference(const data::ImageGeometry& g, std::int64_t down, std::int64_t right,
                             bool flip) {
  std::vector<float> image;
  for (std::int64_t c = 0; c < g.channels; ++c) {
    for (std::int64_t y = 0; y < g.height; ++y) {
      for (std::int64_t x = 0; x < g.width; ++x) {
        const std::int64_t from_y = y + down;
        const std::int64_t from_x = (flip ? g.width - 1 - x : x) + right;
        const bool inside = from_y >= 0 && from_y < g.height && from_x >= 0 && from_x < g.width;
        const std::int64_t place = (c * g.height + from_y) * g.width + from_x;
        image.push_back(inside ? static_cast<float>(place + 1) : 0.0f);
      }
    }
  }
  return image;
}

bool equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::ranges::equal(a, b, [](const Batch& one, const Batch& other) {
    return one.size == other.size && one.labels == other.labels && one.images == other.images &&
           one.targets == other.targets;
  });
}

std::vector<float> rounded(std::vector<float> values) {
  for (float& value : values) value = std::round(value);
  return values;
}

}  // namespace

TEST_CASE("loader: normalises each channel") {
  class Levels : public Numbered {
   public:
    Levels() : Numbered(1, {2, 1, 3, 10}) {}
    void read(std::int64_t, const data::ImageSize&, data::Image& image) const override {
      image = {2, {1, 3}, {0, 51, 255, 0, 51, 255}};
    }
  };
  data::DataSource source;
  source.mean = {0.5, 0.2};
  source.standard_deviation = {0.5, 0.25};
  const Levels set;
  Loader loader(set, source, {.batch = 1});
  const std::vector<Batch> batches = epoch(loader, 0);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].images == std::vector<float>{-1.0f, -0.6f, 1.0f, -0.8f, 0.0f, 3.2f});
}

TEST_CASE("loader: batches cover the data once, the last one left out or short") {
  const Numbered set(10);
  const auto sizes = [&](LoaderOptions options) {
    std::vector<std::int64_t> found;
    for (const Batch& batch : epoch(set, options, 0)) {
      CHECK(batch.images.size() == static_cast<std::size_t>(batch.size) * 30);
      CHECK(batch.labels.size() == static_cast<std::size_t>(batch.size));
      found.push_back(batch.size);
    }
    CHECK(Loader(set, plain_source(), options).batches_per_epoch() ==
          static_cast<std::int64_t>(found.size()));
    return found;
  };
  CHECK(sizes({.batch = 4}) == std::vector<std::int64_t>{4, 4});
  CHECK(sizes({.batch = 4, .drop_last = false}) == std::vector<std::int64_t>{4, 4, 2});
  CHECK(sizes({.batch = 5, .drop_last = false}) == std::vector<std::int64_t>{5, 5});
  CHECK(sizes({.batch = 20, .drop_last = false}) == std::vector<std::int64_t>{10});
  CHECK(sizes({.batch = 2, .limit = 7}) == std::vector<std::int64_t>{2, 2, 2});
  CHECK(sizes({.batch = 5, .limit = 100}) == std::vector<std::int64_t>{5, 5});

  CHECK(order(epoch(set, {.batch = 4, .shuffle = false, .drop_last = false}, 3)) ==
        std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  std::vector<std::int64_t> all = order(epoch(set, {.batch = 4, .drop_last = false}, 3));
  std::ranges::sort(all);
  CHECK(all == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  for (const std::int64_t label : order(epoch(set, {.batch = 2, .limit = 4}, 0))) CHECK(label < 4);
  CHECK(order(epoch(set, {.batch = 2, .shuffle = false, .limit = 4}, 0)) ==
        std::vector<std::int64_t>{0, 2, 5, 7});
}

TEST_CASE("loader: the order is a function of seed and epoch") {
  const Numbered set(64);
  const auto order_of = [&](std::uint64_t seed, std::int64_t number) {
    return order(epoch(set, {.batch = 8, .seed = seed}, number));
  };
  CHECK(order_of(1, 0) == order_of(1, 0));
  CHECK(order_of(1, 0) != order_of(1, 1));
  CHECK(order_of(1, 0) != order_of(2, 0));
  // Epoch 5 is the same whether or not others came before it.
  Loader loader(set, plain_source(), {.batch = 8, .seed = 1});
  epoch(loader, 3);
  CHECK(order(epoch(loader, 5)) == order_of(1, 5));
  // The batch size cuts the order elsewhere, and nothing more.
  CHECK(order(epoch(set, {.batch = 32, .seed = 1}, 2)) == order_of(1, 2));
}

TEST_CASE("loader: the same batches whatever is prefetched, by however many") {
  const Numbered set(50);
  LoaderOptions options{.batch = 6, .seed = 9, .drop_last = false, .flip = true, .crop_padding = 2};
  options.prefetch = 0;
  const std::vector<Batch> plain = epoch(set, options, 4);
  REQUIRE(plain.size() == 9);
  for (const std::int64_t prefetch : {1, 2, 4, 100}) {
    options.prefetch = prefetch;
    CHECK(equal(epoch(set, options, 4), plain));
  }
  for (options.workers = 2; options.workers < 5; ++options.workers) {
    for (const std::int64_t prefetch : {0, 3}) {
      options.prefetch = prefetch;
      CHECK(equal(epoch(set, options, 4), plain));
    }
  }
}

TEST_CASE("loader: flips half of the images, by seed, epoch and sample") {
  const Numbered set(400);
  const std::vector<float> upright = reference(set.geometry(), 0, 0, false);
  const std::vector<float> turned = reference(set.geometry(), 0, 0, true);
  const auto flipped = [&](LoaderOptions options, std::int64_t number) {
    options.flip = true;
    std::set<std::int64_t> samples;
    for (const auto& [label, image] : images_of(epoch(set, options, number))) {
      if (rounded(image) == turned)
        samples.insert(label);
      else
        REQUIRE(rounded(image) == upright);
    }
    return samples;
  };
  const std::set<std::int64_t> chosen = flipped({.batch = 8, .seed = 1}, 0);
  CHECK(chosen.size() > 150);  // 400 fair coins: mean 200, standard deviation 10
  CHECK(chosen.size() < 250);
  CHECK(flipped({.batch = 8, .seed = 1}, 1) != chosen);
  CHECK(flipped({.batch = 8, .seed = 2}, 0) != chosen);
  CHECK(flipped({.batch = 100, .seed = 1, .shuffle = false}, 0) == chosen);
}

TEST_CASE("loader: crops after padding with black, every place as likely") {
  const Numbered set(900, {2, 3, 5, 1000});
  constexpr std::int64_t kPadding = 1;
  for (const bool flip : {false, true}) {
    const LoaderOptions options{.batch = 9, .seed = 3, .flip = flip, .crop_padding = kPadding};
    std::map<std::vector<float>, int> counts;
    for (const auto& [label, image] : images_of(epoch(set, options, 0))) ++counts[rounded(image)];
    CHECK(counts.size() == (flip ? 18u : 9u));
    for (std::int64_t down = -kPadding; down <= kPadding; ++down) {
      for (std::int64_t right = -kPadding; right <= kPadding; ++right) {
        for (const bool turned : {false, true}) {
          const int count = counts[reference(set.geometry(), down, right, turned)];
          // Mean 100, standard deviation 9.4; half of that with flips.
          const int mean = flip ? 50 : turned ? 0 : 100;
          CHECK(std::abs(count - mean) <= mean / 2);
        }
      }
    }
  }
}

TEST_CASE("loader: padding wider than the image") {
  const Numbered set(200, {1, 2, 2, 1000});
  const LoaderOptions options{.batch = 10, .seed = 3, .crop_padding = 7};
  std::set<std::vector<float>> known;
  for (std::int64_t down = -7; down <= 7; ++down) {
    for (std::int64_t right = -7; right <= 7; ++right) {
      known.insert(reference(set.geometry(), down, right, false));
    }
  }
  for (const auto& [label, image] : images_of(epoch(set, options, 0))) {
    CHECK(known.contains(rounded(image)));
  }
}

TEST_CASE("loader: switching flips on leaves crops where they were") {
  const Numbered set(60);
  LoaderOptions options{.batch = 6, .seed = 5, .crop_padding = 2};
  const auto upright = images_of(epoch(set, options, 0));
  options.flip = true;
  int same = 0;
  for (const auto& [label, image] : images_of(epoch(set, options, 0))) {
    std::vector<float> turned;
    for (std::size_t row = 0; row < image.size(); row += 5) {
      for (std::size_t x = 5; x-- > 0;) turned.push_back(image[row + x]);
    }
    if (image == upright.at(label))
      ++same;
    else
      REQUIRE(turned == upright.at(label));
  }
  CHECK(same > 10);
  CHECK(same < 50);
}

TEST_CASE("loader: no more than `prefetch` batches are made ahead") {
  const Numbered set(200);
  for (const std::int64_t prefetch : {1, 3}) {
    set.reads = 0;
    Loader loader(set, plain_source(), {.batch = 5, .prefetch = prefetch});
    loader.start_epoch(0);
    for (std::int64_t taken = 0; loader.next(); ++taken) {
      REQUIRE(set.reads <= (taken + 1 + prefetch) * 5);
    }
    CHECK(set.reads == 200);
  }
}

TEST_CASE("loader: the worker's error comes out of next(), after the batches before it") {
  Numbered set(40);
  for (const std::int64_t prefetch : {0, 1, 4}) {
    CAPTURE(prefetch);
    set.failing = 17;
    Loader loader(set, plain_source(), {.batch = 5, .shuffle = false, .prefetch = prefetch});
    loader.start_epoch(0);
    for (int i = 0; i < 3; ++i) REQUIRE(loader.next().has_value());
    CHECK_THROWS_WITH_AS(loader.next(), "cannot read sample 'x'", sbp::Error);
    CHECK_THROWS_AS(loader.next(), sbp::Error);  // and stays
    set.failing = 2;
    loader.start_epoch(1);
    CHECK_THROWS_AS(loader.next(), sbp::Error);
    loader.start_epoch(2);
    Numbered whole(40);
    Loader other(whole, plain_source(), {.batch = 5, .shuffle = false, .prefetch = prefetch});
    CHECK(epoch(other, 0).size() == 8);
  }
}

TEST_CASE("loader: can be stopped and restarted at any time") {
  const Numbered set(64);
  const LoaderOptions options{.batch = 4, .seed = 1, .flip = true, .prefetch = 3};
  for (int taken = 0; taken < 17; ++taken) {
    Loader loader(set, plain_source(), options);
    CHECK_FALSE(loader.next().has_value());  // not started
    loader.start_epoch(0);
    for (int i = 0; i < taken; ++i) loader.next();
    if (taken % 2 == 0) continue;  // destroyed amid the epoch
    loader.start_epoch(1);
    loader.start_epoch(2);
    std::vector<Batch> batches;
    while (std::optional<Batch> batch = loader.next()) batches.push_back(std::move(*batch));
    CHECK(equal(batches, epoch(set, options, 2)));
    CHECK_FALSE(loader.next().has_value());
  }
}

TEST_CASE(
    "loader: an epoch resumed in its middle gives the batches that are left, and reads no others") {
  const Numbered set(50);
  for (const std::int64_t prefetch : {0, 3}) {
    const LoaderOptions options{.batch = 6,
                                .seed = 2,
                                .drop_last = false,
                                .flip = true,
                                .crop_padding = 1,
                                .prefetch = prefetch,
                                .augment = data::parse_augmentation("erase:probability=1+mixup")};
    const std::vector<Batch> whole = epoch(set, options, 7);
    REQUIRE(whole.size() == 9);
    for (std::int64_t first = 0; first <= 9; ++first) {
      Loader loader(set, plain_source(), options);
      set.reads = 0;
      loader.start_epoch(7, first);
      std::vector<Batch> rest;
      while (std::optional<Batch> batch = loader.next()) rest.push_back(std::move(*batch));
      CHECK(equal(rest, {whole.begin() + first, whole.end()}));
      CHECK(set.reads == std::max<std::int64_t>(50 - first * 6, 0));
    }
    Loader loader(set, plain_source(), options);
    CHECK_THROWS_WITH_AS(loader.start_epoch(0, 10),
                         "cannot start an epoch of 9 batches at batch '10'", sbp::Error);
    CHECK_THROWS_AS(loader.start_epoch(0, -1), sbp::Error);
  }
}

TEST_CASE("loader: mixed batches carry dense targets, others none") {
  const Numbered set(12, {2, 3, 5, 12});
  const LoaderOptions options{.batch = 4, .augment = data::parse_augmentation("mixup")};
  for (const Batch& batch : epoch(set, options, 0)) {
    CHECK(batch.target_classes == 12);
    REQUIRE(batch.targets.size() == 4 * 12);
    for (std::size_t i = 0; i < 4; ++i) {
      const float* const row = batch.targets.data() + i * 12;
      const float own = row[batch.labels[i]];
      const float other = row[batch.labels[3 - i]];
      CHECK(own + other == doctest::Approx(1.0));
      CHECK(std::count(row, row + 12, 0.0f) >= 10);
    }
  }
  for (const Batch& batch : epoch(set, {.batch = 4}, 0)) {
    CHECK(batch.targets.empty());
    CHECK(batch.target_classes == 0);
  }
}

TEST_CASE("loader: waiting is counted from the start of the epoch") {
  const Numbered set(64);
  for (const std::int64_t prefetch : {0, 2}) {
    Loader loader(set, plain_source(), {.batch = 4, .prefetch = prefetch});
    CHECK(loader.wait_seconds() == 0.0);
    epoch(loader, 0);
    CHECK(loader.wait_seconds() > 0.0);
    loader.start_epoch(1);
    CHECK(loader.wait_seconds() == 0.0);
  }
}

TEST_CASE("loader: options out of range") {
  const Numbered set(10);
  const auto make = [&](LoaderOptions options) { Loader(set, plain_source(), options); };
  CHECK_THROWS_WITH_AS(make({.batch = 0}), "batch must be at least 1, not '0'", sbp::UsageError);
  CHECK_THROWS_AS(make({.batch = -3}), sbp::UsageError);
  CHECK_THROWS_AS(make({.crop_padding = -1}), sbp::UsageError);
  CHECK_THROWS_AS(make({.limit = 0}), sbp::UsageError);
  CHECK_THROWS_AS(make({.prefetch = -1}), sbp::UsageError);
  CHECK_THROWS_AS(make({.workers = 0}), sbp::UsageError);
  CHECK_THROWS_AS(make({.crop_ratio = 0.0}), sbp::UsageError);
  CHECK_THROWS_AS(make({.crop_ratio = 1.1}), sbp::UsageError);
  const std::vector<sbp::Spec> both = data::parse_augmentation("flip+pad:pixels=2");
  CHECK_THROWS_AS(make({.flip = true, .augment = both}), sbp::UsageError);
  CHECK_THROWS_AS(make({.crop_padding = 1, .augment = both}), sbp::UsageError);
  CHECK_NOTHROW(make({.augment = both}));
  CHECK_THROWS_AS(make({.augment = data::parse_augmentation("jitter")}), sbp::UsageError);
  CHECK_THROWS_WITH_AS(make({.batch = 11}),
                       "batch must be at most 10, the number of samples there are, not '11'",
                       sbp::UsageError);
  CHECK_THROWS_AS(make({.batch = 5, .limit = 4}), sbp::UsageError);
  CHECK_NOTHROW(make({.batch = 11, .drop_last = false}));
  CHECK_THROWS_AS(Loader(set, plain_source(3), {.batch = 1}), sbp::Error);
  const Numbered none(0);
  CHECK(epoch(none, {.batch = 4, .drop_last = false}, 0).empty());
}
