// A plain multilayer perceptron on flattened images.
#pragma once

#include <memory>

#include "experiments/models/model.h"

namespace sbp::experiments {

struct MlpOptions {
  ImageGeometry input;
  std::int64_t hidden = 256;
  std::int64_t depth = 3;  // linears, the last one being the head
};

std::unique_ptr<Model> make_mlp(const MlpOptions& options, const BuildOptions& build);

}  // namespace sbp::experiments
