#include "experiments/data/dataset.h"

#include <stdexcept>

#include "experiments/data/cifar10.h"
#include "experiments/data/fashion_mnist.h"
#include "experiments/data/synthetic.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

KeySchema size_key(std::string key, std::string default_value, std::string help, double minimum,
                   double maximum) {
  return {.key = std::move(key),
          .kind = ValueKind::integer,
          .default_value = std::move(default_value),
          .help = std::move(help),
          .minimum = minimum,
          .maximum = maximum};
}

KeySchema path_key(std::string default_value, std::string help) {
  return {.key = "path",
          .kind = ValueKind::text,
          .default_value = std::move(default_value),
          .help = std::move(help)};
}

}  // namespace

const std::vector<SpecSchema>& data_schemas() {
  static const std::vector<SpecSchema> schemas = {
      {"synthetic",
       "images made from the seed, with a pattern to learn for each class",
       {size_key("image", "0", "height and width in pixels; 0: the model's", 0, 16384),
        size_key("channels", "0", "channels; 0: the model's", 0, 1024),
        size_key("classes", "0", "classes; 0: the model's", 0, 1e6),
        size_key("samples", "512", "training images; the test set has a quarter as many", 1, 1e7)}},
      {"fashion_mnist",
       "Fashion-MNIST: 60,000 + 10,000 grey images of clothes, 28x28, 10 classes",
       {path_key(kFashionMnistFolder, "folder of the four IDX files, gzipped or plain")}},
      {"cifar10",
       "CIFAR-10: colour images, 32x32, 10 classes",
       {path_key("",
                 "a batch file, or a folder with data_batch_*.bin and test_batch.bin; without a "
                 "test batch the last fifth of the records is the test set")}},
  };
  return schemas;
}

ImageGeometry geometry_of(const Spec& data, const ImageGeometry& wanted_by_model) {
  if (data.name == "synthetic") return synthetic_geometry(data, wanted_by_model);
  if (data.name == "fashion_mnist") return fashion_mnist_geometry();
  if (data.name == "cifar10") return cifar10_geometry();
  throw std::invalid_argument(concat("no data set is named '", data.name, "'"));
}

Spec fit_to_geometry(const Spec& data, const ImageGeometry& geometry) {
  Spec fitted = data;
  fill_zero(fitted, "image", geometry.height);
  fill_zero(fitted, "channels", geometry.channels);
  fill_zero(fitted, "classes", geometry.classes);
  return fitted;
}

DataSource open_data(const Spec& data, const ImageGeometry& wanted_by_model, std::uint64_t seed) {
  const ImageGeometry geometry = geometry_of(data, wanted_by_model);
  if (data.name == "synthetic") return open_synthetic(geometry, data.integer("samples"), seed);
  if (data.name == "fashion_mnist") return open_fashion_mnist(data.text("path"));
  return open_cifar10(data.text("path"));
}

}  // namespace sbp::experiments
