// CIFAR-100 in its binary form: colour images, 32x32, 100 classes in 20 groups (Krizhevsky 2009).
#pragma once

#include <string>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

// `fine`: 100 classes, otherwise the 20 coarse ones. `image`: height and width of batches.
ImageGeometry cifar100_geometry(bool fine, std::int64_t image = 32);

// Reads train.bin and test.bin of a folder or archive: records of a coarse label, a fine label and
// 3,072 pixels.
DataSource open_cifar100(const std::string& path, bool fine, std::int64_t image = 32);

}  // namespace sbp::experiments
