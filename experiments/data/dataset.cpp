#include "experiments/data/dataset.h"

#include <stdexcept>

#include "experiments/data/cifar10.h"
#include "experiments/data/cifar100.h"
#include "experiments/data/fashion_mnist.h"
#include "experiments/data/image_folder.h"
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

ImageGeometry folder_geometry(const Spec& data, const ImageGeometry& wanted_by_model) {
  std::int64_t image = data.integer("image");
  if (image == 0) image = wanted_by_model.height != 0 ? wanted_by_model.height : 224;
  std::int64_t classes = data.integer("classes");
  if (classes == 0) classes = count_image_classes(data.text("path"));
  return {.channels = 3, .height = image, .width = image, .classes = classes};
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
                 "a batch file, a folder or archive with data_batch_*.bin and test_batch.bin "
                 "(without a test batch the last fifth of the records is the test set), or an "
                 "archive with cifar10/train/NNNNN_LABEL.jpg and cifar10/test/"),
        size_key("image", "32", "height and width of batches; other than 32: resized", 1, 16384)}},
      {"cifar100",
       "CIFAR-100: colour images, 32x32, 100 classes or 20",
       {path_key("", "a folder or archive with train.bin and test.bin"),
        word_key("labels", {"fine", "coarse"}, "fine (100 classes) or coarse (20)"),
        size_key("image", "32", "height and width of batches; other than 32: resized", 1, 16384)}},
      {"folder",
       "JPEG images of any size, one folder a class",
       {path_key(
            "",
            "a folder, .tar, .tar.xz or .tar.gz with train/ and val/ (or test/), class folders "
            "in both; without such a pair the last fifth of each class, by name, is the test "
            "set"),
        size_key("image", "0", "height and width of batches; 0: the model's", 0, 16384),
        size_key("classes", "0", "class folders there must be; 0: as many as there are", 0, 1e6),
        word_key("on_error", {"fail", "skip"},
                 "of an unreadable image: fail when it is met, or skip: decode all once when the "
                 "data are opened, leave those out and name them")}},
  };
  return schemas;
}

ImageGeometry geometry_of(const Spec& data, const ImageGeometry& wanted_by_model) {
  if (data.name == "synthetic") return synthetic_geometry(data, wanted_by_model);
  if (data.name == "fashion_mnist") return fashion_mnist_geometry();
  if (data.name == "cifar10") return cifar10_geometry(data.integer("image"));
  if (data.name == "cifar100") {
    return cifar100_geometry(data.text("labels") == "fine", data.integer("image"));
  }
  if (data.name == "folder") return folder_geometry(data, wanted_by_model);
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
  if (data.name == "cifar10") return open_cifar10(data.text("path"), geometry.height);
  if (data.name == "cifar100") {
    return open_cifar100(data.text("path"), data.text("labels") == "fine", geometry.height);
  }
  return open_image_folder({.path = data.text("path"),
                            .image = geometry.height,
                            .classes = geometry.classes,
                            .skip_unreadable = data.text("on_error") == "skip"});
}

}  // namespace sbp::experiments
