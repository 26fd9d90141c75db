// Images made from numbers: no files, any geometry, and still something to learn.
#pragma once

#include "experiments/data/dataset.h"

namespace sbp::experiments {

// `data` with its zeros taken from the model; 3x32x32 in 10 classes where that has zeros too.
ImageGeometry synthetic_geometry(const Spec& data, const ImageGeometry& wanted_by_model);

// Each class has a pattern of 4x4 tiles a channel, each image adds noise to it. Classes take
// turns, so label(i) is i modulo the classes. A function of the seed alone; images are computed
// when they are read. The test set is a quarter of `samples` on top, with other noise.
DataSource open_synthetic(const ImageGeometry& geometry, std::int64_t samples, std::uint64_t seed);

}  // namespace sbp::experiments
