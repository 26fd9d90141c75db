#include "experiments/data/fashion_mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "experiments/data/idx.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

class FashionMnist : public Dataset {
 public:
  FashionMnist(std::vector<std::uint8_t> images, std::vector<std::uint8_t> labels)
      : geometry_(fashion_mnist_geometry()),
        images_(std::move(images)),
        labels_(std::move(labels)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  const ImageGeometry& geometry() const override { return geometry_; }
  std::int64_t label(std::int64_t index) const override {
    return labels_.at(static_cast<std::size_t>(index));
  }
  ImageSize dimensions(std::int64_t) const override { return {geometry_.height, geometry_.width}; }
  void read(std::int64_t index, const ImageSize& /*at_least*/, Image& image) const override {
    image.reshape(geometry_.channels, dimensions(index));
    const std::size_t bytes = image.bytes.size();
    std::ranges::copy(std::span(images_).subspan(static_cast<std::size_t>(index) * bytes, bytes),
                      image.bytes.begin());
  }
  std::int64_t held_bytes() const override { return std::ssize(images_) + std::ssize(labels_); }

 private:
  ImageGeometry geometry_;
  std::vector<std::uint8_t> images_;
  std::vector<std::uint8_t> labels_;
};

// The file of that name, gzipped or plain.
std::string find_file(const std::string& folder, const std::string& name) {
  const std::filesystem::path plain = std::filesystem::path(folder) / name;
  const std::string zipped = plain.string() + ".gz";
  std::error_code code;
  if (std::filesystem::exists(zipped, code)) return zipped;
  if (std::filesystem::exists(plain, code)) return plain.string();
  throw Error(
      fmt::format("cannot find Fashion-MNIST: '{}' is not there; install it with `apt-get install "
                  "dataset-fashion-mnist`, or name its folder with fashion_mnist:path=FOLDER",
                  zipped));
}

std::unique_ptr<Dataset> open_split(const std::string& folder, const std::string& split) {
  const ImageGeometry geometry = fashion_mnist_geometry();
  const std::string images_path = find_file(folder, split + "-images-idx3-ubyte");
  const std::string labels_path = find_file(folder, split + "-labels-idx1-ubyte");
  IdxArray images = read_idx(images_path, 3);
  IdxArray labels = read_idx(labels_path, 1);
  if (images.sizes[1] != geometry.height || images.sizes[2] != geometry.width) {
    throw Error(fmt::format("Fashion-MNIST file '{}' holds images of {}x{}, not of {}x{}",
                            images_path, images.sizes[1], images.sizes[2], geometry.height,
                            geometry.width));
  }
  if (images.sizes[0] != labels.sizes[0]) {
    throw Error(fmt::format("Fashion-MNIST file '{}' holds {} labels, but '{}' holds {} images",
                            labels_path, labels.sizes[0], images_path, images.sizes[0]));
  }
  if (images.sizes[0] == 0) {
    throw Error(fmt::format("Fashion-MNIST file '{}' holds no images", images_path));
  }
  const auto beyond = std::ranges::find_if(
      labels.bytes, [&](std::uint8_t label) { return label >= geometry.classes; });
  if (beyond != labels.bytes.end()) {
    throw Error(
        fmt::format("Fashion-MNIST file '{}' has label {} at record {} (counted from 0); "
                    "labels are 0 to {}",
                    labels_path, *beyond, beyond - labels.bytes.begin(), geometry.classes - 1));
  }
  return std::make_unique<FashionMnist>(std::move(images.bytes), std::move(labels.bytes));
}

}  // namespace

ImageGeometry fashion_mnist_geometry() {
  return {.channels = 1, .height = 28, .width = 28, .classes = 10};
}

DataSource open_fashion_mnist(const std::string& folder) {
  DataSource source;
  source.train = open_split(folder, "train");
  source.test = open_split(folder, "t10k");
  // Over all pixels of the 60,000 training images; the figures in common use.
  source.mean = {0.2860};
  source.standard_deviation = {0.3530};
  return source;
}

}  // namespace sbp::experiments
