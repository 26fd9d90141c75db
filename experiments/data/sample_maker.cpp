#include "experiments/data/sample_maker.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "experiments/data/rand_augment.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

std::vector<std::array<float, 256>> make_levels(const DataSource& source, std::int64_t channels) {
  const auto count = static_cast<std::size_t>(channels);
  if (source.mean.size() != count || source.standard_deviation.size() != count) {
    throw Error(concat("cannot normalise images of ", channels, " channels with ",
                       source.mean.size(), " means and ", source.standard_deviation.size(),
                       " standard deviations"));
  }
  std::vector<std::array<float, 256>> levels(count);
  for (std::size_t channel = 0; channel < count; ++channel) {
    const double mean = source.mean[channel];
    const double deviation = source.standard_deviation[channel];
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const double scaled = static_cast<double>(byte) / 255.0;
      levels[channel][byte] = static_cast<float>((scaled - mean) / deviation);
    }
  }
  return levels;
}

// How an image is moved and turned.
struct Move {
  bool flip = false;
  std::int64_t down = 0;   // rows from the image's origin to the crop's; negative: padding first
  std::int64_t right = 0;  // columns, likewise
};

// Draws the same numbers whatever is switched on, so that one switch does not change the other.
Move draw_move(const Augmentation& augmentation, const SampleKey& key) {
  RandomStream stream = augment_stream(key, AugmentStream::place);
  Move move;
  const bool flip = stream.below(2) == 1;
  const auto places = static_cast<std::uint64_t>(2 * augmentation.padding + 1);
  move.down = static_cast<std::int64_t>(stream.below(places)) - augmentation.padding;
  move.right = static_cast<std::int64_t>(stream.below(places)) - augmentation.padding;
  move.flip = augmentation.flip && flip;
  return move;
}

// One row of the moved image, black where it leaves the image.
void move_row(std::span<const std::uint8_t> row, const Move& move, std::span<std::uint8_t> out) {
  const auto width = static_cast<std::int64_t>(row.size());
  const std::int64_t first = std::clamp<std::int64_t>(-move.right, 0, width);
  const std::int64_t last = std::clamp<std::int64_t>(width - move.right, first, width);
  std::fill(out.begin(), out.begin() + first, std::uint8_t{0});
  std::copy(row.begin() + first + move.right, row.begin() + last + move.right, out.begin() + first);
  std::fill(out.begin() + last, out.end(), std::uint8_t{0});
  if (move.flip) std::ranges::reverse(out);
}

// The size at which the whole image has to be read for a part of it to come out no coarser than
// `wanted`.
std::int64_t needed(std::int64_t whole, double part, std::int64_t wanted) {
  return static_cast<std::int64_t>(
      std::ceil(static_cast<double>(whole) * static_cast<double>(wanted) / part - 1e-6));
}

}  // namespace

SampleMaker::SampleMaker(const Dataset& data, const DataSource& source,
                         const Augmentation& augmentation, double crop_ratio)
    : data_(data),
      augmentation_(augmentation),
      crop_ratio_(crop_ratio),
      size_{data.geometry().height, data.geometry().width},
      levels_(make_levels(source, data.geometry().channels)) {
  const std::int64_t channels = data.geometry().channels;
  if (augmentation.changes_colours() && channels != 1 && channels != 3) {
    throw UsageError(
        concat("randaugment and jitter change images of 1 or 3 channels, not of '", channels, "'"));
  }
  for (const double mean : source.mean) {
    fill_.push_back(static_cast<std::uint8_t>(std::clamp(std::round(mean * 255.0), 0.0, 255.0)));
  }
}

void SampleMaker::make(const SampleKey& key, SampleScratch& scratch, std::span<float> out) const {
  if (augmentation_.crop) {
    read_crop(key, scratch);
  } else {
    read_whole(key.sample, scratch);
  }
  pad_and_flip(key, scratch);
  Image& image = scratch.placed;
  if (augmentation_.rand_augment) {
    RandomStream stream = augment_stream(key, AugmentStream::rand_augment);
    rand_augment(image, *augmentation_.rand_augment, fill_, stream);
  }
  if (augmentation_.jitter > 0.0) {
    RandomStream stream = augment_stream(key, AugmentStream::jitter);
    colour_jitter(image, augmentation_.jitter, stream);
  }
  write(image, out);
  if (augmentation_.erase) {
    RandomStream stream = augment_stream(key, AugmentStream::erase);
    random_erase(out, image.channels, size_, *augmentation_.erase, stream);
  }
}

// Resized and cut from the centre; as it is where it has the size already and all of it is wanted.
void SampleMaker::read_whole(std::int64_t sample, SampleScratch& scratch) const {
  const ImageSize own = data_.dimensions(sample);
  if (own == size_ && crop_ratio_ == 1.0) {
    data_.read(sample, own, scratch.placed);
    return;
  }
  const ResizeWindow window = centre_window(own, size_, crop_ratio_);
  data_.read(sample, window.full, scratch.read);
  ResizeWindow scaled = window;
  scaled.source = {0.0, 0.0, static_cast<double>(scratch.read.size.height),
                   static_cast<double>(scratch.read.size.width)};
  resize(scratch.read, scaled, Interpolation::bicubic, scratch.placed);
}

void SampleMaker::read_crop(const SampleKey& key, SampleScratch& scratch) const {
  const ImageSize own = data_.dimensions(key.sample);
  RandomStream stream = augment_stream(key, AugmentStream::crop);
  Box box = draw_crop(*augmentation_.crop, own, stream);
  data_.read(
      key.sample,
      {needed(own.height, box.height, size_.height), needed(own.width, box.width, size_.width)},
      scratch.read);
  // The image may have come scaled down.
  const double down =
      static_cast<double>(scratch.read.size.height) / static_cast<double>(own.height);
  const double across =
      static_cast<double>(scratch.read.size.width) / static_cast<double>(own.width);
  box = {box.top * down, box.left * across, box.height * down, box.width * across};
  resize(scratch.read, {.source = box, .full = size_, .crop = size_},
         augmentation_.crop->interpolation, scratch.placed);
}

void SampleMaker::pad_and_flip(const SampleKey& key, SampleScratch& scratch) const {
  if (!augmentation_.flip && augmentation_.padding == 0) return;
  const Move move = draw_move(augmentation_, key);
  const Image& from = scratch.placed;
  Image& to = scratch.read;
  to.reshape(from.channels, from.size);
  for (std::int64_t channel = 0; channel < from.channels; ++channel) {
    for (std::int64_t y = 0; y < from.size.height; ++y) {
      const std::int64_t row = y + move.down;
      if (row < 0 || row >= from.size.height) {
        std::ranges::fill(to.row(channel, y), std::uint8_t{0});
      } else {
        move_row(from.row(channel, row), move, to.row(channel, y));
      }
    }
  }
  std::swap(scratch.read, scratch.placed);
}

void SampleMaker::write(const Image& image, std::span<float> out) const {
  float* to = out.data();
  for (std::int64_t channel = 0; channel < image.channels; ++channel) {
    const std::array<float, 256>& level = levels_[static_cast<std::size_t>(channel)];
    for (const std::uint8_t byte : image.plane(channel)) *to++ = level[byte];
  }
}

}  // namespace sbp::experiments
