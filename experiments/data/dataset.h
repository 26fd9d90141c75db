// Image data sets as bytes, each image of a size of its own; LibTorch-free.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/data/image.h"
#include "sbp/base/spec.h"

namespace sbp::experiments {

struct ImageGeometry {
  std::int64_t channels = 3;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t classes = 0;

  std::int64_t elements() const { return channels * height * width; }
  bool operator==(const ImageGeometry&) const = default;
};

// Read-only after construction; safe to read from several threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  // Channels and classes of the images, and the height and width that batches of them have.
  virtual const ImageGeometry& geometry() const = 0;
  virtual std::int64_t label(std::int64_t index) const = 0;
  // The image's own size, found without decoding it.
  virtual ImageSize dimensions(std::int64_t index) const = 0;
  // Replaces `image`, with geometry().channels channels, at its own size or one that is scaled down
  // but no smaller than `at_least` in either direction.
  virtual void read(std::int64_t index, const ImageSize& at_least, Image& image) const = 0;
  // Of memory, that the images take as long as the data set lives; 0: they are made or read when
  // asked for.
  virtual std::int64_t held_bytes() const { return 0; }
};

struct DataSource {
  std::unique_ptr<Dataset> train;
  std::unique_ptr<Dataset> test;
  // Per channel, of pixels scaled to [0, 1].
  std::vector<double> mean;
  std::vector<double> standard_deviation;
  // What share of the resized image's sides evaluation crops from its centre.
  double crop_ratio = 1.0;
  std::vector<std::string> warnings;  // sentences for the report: images left out
};

// The schemas of what open_data understands: `synthetic`, `fashion_mnist`, `cifar10`, `cifar100`,
// `folder`.
const std::vector<SpecSchema>& data_schemas();

// The geometry of the data without reading images; the names in an image folder are listed where
// its classes are not given.
ImageGeometry geometry_of(const Spec& data, const ImageGeometry& wanted_by_model);

// `data` with the sizes that it left to the model filled in, as they are in `geometry`.
Spec fit_to_geometry(const Spec& data, const ImageGeometry& geometry);

// Opens (and reads) a data set. Throws Error naming the file, the value found and what was
// expected: missing, truncated, wrong magic number, labels out of range.
DataSource open_data(const Spec& data, const ImageGeometry& wanted_by_model, std::uint64_t seed);

}  // namespace sbp::experiments
