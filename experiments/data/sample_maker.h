// One sample of a data set to the normalised floats of a batch: read, cut, augmented.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/data/augmentation.h"
#include "experiments/data/dataset.h"

namespace sbp::experiments {

// Images of one thread, kept from sample to sample.
struct SampleScratch {
  Image read;
  Image placed;
};

// Safe to use from several threads, each with a scratch of its own.
class SampleMaker {
 public:
  // `data` must outlive it; `source` is read here only, for its mean and deviation. Throws Error
  // where their channels do not fit.
  SampleMaker(const Dataset& data, const DataSource& source, const Augmentation& augmentation,
              double crop_ratio);

  // Writes geometry().elements() floats. `key.sample` is the index in the data set.
  void make(const SampleKey& key, SampleScratch& scratch, std::span<float> out) const;

 private:
  void read_whole(std::int64_t sample, SampleScratch& scratch) const;
  void read_crop(const SampleKey& key, SampleScratch& scratch) const;
  void pad_and_flip(const SampleKey& key, SampleScratch& scratch) const;
  void write(const Image& image, std::span<float> out) const;

  const Dataset& data_;
  Augmentation augmentation_;
  double crop_ratio_;
  ImageSize size_;                              // of what is made
  std::vector<std::array<float, 256>> levels_;  // a byte's normalised value, by channel
  std::vector<std::uint8_t> fill_;              // the mean as bytes
};

}  // namespace sbp::experiments
