#include "experiments/data/synthetic.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "sbp/random.h"

namespace sbp::experiments {
namespace {

constexpr std::size_t kTiles = 4;  // along each side
constexpr std::uint32_t kNoiseLevels = 96;
constexpr std::uint32_t kPatternLevels = 256 - kNoiseLevels;

// What the `step` of a stream's key stands for here.
enum class Stream : std::uint32_t { pattern, train_noise, test_noise };

// Bytes of a stream, four from each of its numbers.
class NoiseBytes {
 public:
  explicit NoiseBytes(const StreamKey& key) : stream_(key) {}

  std::uint32_t next() {
    if (left_ == 0) {
      word_ = stream_.next();
      left_ = 4;
    }
    const std::uint32_t byte = word_ & 0xff;
    word_ >>= 8;
    --left_;
    return byte;
  }

 private:
  RandomStream stream_;
  std::uint32_t word_ = 0;
  int left_ = 0;
};

std::size_t tile_of(std::int64_t place, std::int64_t size) {
  return static_cast<std::size_t>(place) * kTiles / static_cast<std::size_t>(size);
}

class Synthetic : public Dataset {
 public:
  Synthetic(const ImageGeometry& geometry, std::int64_t size, std::uint64_t seed, Stream noise)
      : geometry_(geometry), size_(size), seed_(seed), noise_(noise) {}

  std::int64_t size() const override { return size_; }
  const ImageGeometry& geometry() const override { return geometry_; }
  std::int64_t label(std::int64_t index) const override { return index % geometry_.classes; }

  ImageSize dimensions(std::int64_t) const override { return {geometry_.height, geometry_.width}; }

  void read(std::int64_t index, const ImageSize&, Image& image) const override {
    image.reshape(geometry_.channels, {geometry_.height, geometry_.width});
    std::vector<std::uint8_t>& pixels = image.bytes;
    NoiseBytes pattern(key(Stream::pattern, label(index)));
    NoiseBytes noise(key(noise_, index));
    std::vector<std::size_t> columns;  // each x's tile
    for (std::int64_t x = 0; x < geometry_.width; ++x)
      columns.push_back(tile_of(x, geometry_.width));
    std::size_t place = 0;
    for (std::int64_t channel = 0; channel < geometry_.channels; ++channel) {
      std::array<std::uint32_t, kTiles * kTiles> tiles{};
      for (std::uint32_t& tile : tiles) tile = pattern.next() * kPatternLevels / 256;
      for (std::int64_t y = 0; y < geometry_.height; ++y) {
        const auto row = std::span(tiles).subspan(tile_of(y, geometry_.height) * kTiles, kTiles);
        for (const std::size_t column : columns) {
          const std::uint32_t level = row[column] + noise.next() * kNoiseLevels / 256;
          pixels[place++] = static_cast<std::uint8_t>(level);
        }
      }
    }
  }

 private:
  StreamKey key(Stream stream, std::int64_t site) const {
    return {.seed = seed_,
            .step = static_cast<std::uint32_t>(stream),
            .site = static_cast<std::uint32_t>(site),
            .purpose = Purpose::synthetic};
  }

  ImageGeometry geometry_;
  std::int64_t size_;
  std::uint64_t seed_;
  Stream noise_;
};

std::int64_t first_given(std::int64_t asked, std::int64_t wanted, std::int64_t otherwise) {
  if (asked != 0) return asked;
  return wanted != 0 ? wanted : otherwise;
}

}  // namespace

ImageGeometry synthetic_geometry(const Spec& data, const ImageGeometry& wanted_by_model) {
  const std::int64_t image = data.integer("image");
  return {.channels = first_given(data.integer("channels"), wanted_by_model.channels, 3),
          .height = first_given(image, wanted_by_model.height, 32),
          .width = first_given(image, wanted_by_model.width, 32),
          .classes = first_given(data.integer("classes"), wanted_by_model.classes, 10)};
}

DataSource open_synthetic(const ImageGeometry& geometry, std::int64_t samples, std::uint64_t seed) {
  const std::int64_t test = std::max<std::int64_t>(samples / 4, 1);
  const auto channels = static_cast<std::size_t>(geometry.channels);
  DataSource source;
  source.train = std::make_unique<Synthetic>(geometry, samples, seed, Stream::train_noise);
  source.test = std::make_unique<Synthetic>(geometry, test, seed, Stream::test_noise);
  source.mean.assign(channels, 0.5);
  source.standard_deviation.assign(channels, 0.5);
  return source;
}

}  // namespace sbp::experiments
