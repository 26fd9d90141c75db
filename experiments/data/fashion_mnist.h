// Fashion-MNIST: grey images of clothes, 28x28, 10 classes (Xiao et al. 2017).
#pragma once

#include <string>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

// Where Debian's package dataset-fashion-mnist puts the files.
inline constexpr char kFashionMnistFolder[] = "/usr/share/datasets/fashion-mnist";

ImageGeometry fashion_mnist_geometry();

// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte from `folder`, each gzipped (.gz) or plain.
DataSource open_fashion_mnist(const std::string& folder);

}  // namespace sbp::experiments
