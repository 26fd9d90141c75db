// CIFAR-10: colour images, 32x32, 10 classes (Krizhevsky 2009).
#pragma once

#include <string>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

// `image`: height and width of batches, to which images are resized.
ImageGeometry cifar10_geometry(std::int64_t image = 32);

// `path` is one batch file of the binary form, a folder or archive with data_batch_*.bin (train)
// and test_batch.bin (test), or an archive with NNNNN_LABEL.jpg in train/ and test/. Where there is
// no test batch, the last fifth of the records (rounded down, but at least one) is the test set.
DataSource open_cifar10(const std::string& path, std::int64_t image = 32);

}  // namespace sbp::experiments
