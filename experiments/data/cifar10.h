// CIFAR-10 in its binary form: colour images, 32x32, 10 classes (Krizhevsky 2009).
#pragma once

#include <string>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

ImageGeometry cifar10_geometry();

// Reads batch files: records of 3,073 bytes, the label and 1,024 bytes each of red, green and
// blue. `path` is one batch file, or a folder with data_batch_*.bin (train) and test_batch.bin
// (test). Where there is no test batch, the last fifth of the records (rounded down, but at least
// one) is the test set.
DataSource open_cifar10(const std::string& path);

}  // namespace sbp::experiments
