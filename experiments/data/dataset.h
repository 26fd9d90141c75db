// Image data sets, held as bytes in memory; LibTorch-free.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

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
  virtual const ImageGeometry& geometry() const = 0;
  virtual std::int64_t label(std::int64_t index) const = 0;
  // Writes the image's bytes, channel by channel, row by row (geometry().elements() of them).
  virtual void read(std::int64_t index, std::span<std::uint8_t> pixels) const = 0;
};

struct DataSource {
  std::unique_ptr<Dataset> train;
  std::unique_ptr<Dataset> test;
  // Per channel, of pixels scaled to [0, 1].
  std::vector<double> mean;
  std::vector<double> standard_deviation;
};

// The schemas of what open_data understands: `synthetic`, `fashion_mnist`, `cifar10`.
const std::vector<SpecSchema>& data_schemas();

// The geometry of the data without reading it; zeros where only the files can tell.
ImageGeometry geometry_of(const Spec& data, const ImageGeometry& wanted_by_model);

// `data` with the sizes that it left to the model filled in, as they are in `geometry`.
Spec fit_to_geometry(const Spec& data, const ImageGeometry& geometry);

// Opens (and reads) a data set. Throws Error naming the file, the value found and what was
// expected: missing, truncated, wrong magic number, labels out of range.
DataSource open_data(const Spec& data, const ImageGeometry& wanted_by_model, std::uint64_t seed);

}  // namespace sbp::experiments
