// Weights from elsewhere into a new model (--init).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/models/model.h"

namespace sbp::experiments {

struct InitialWeights {
  std::int64_t placed = 0;  // tensors of the file that went into the model
  std::int64_t left = 0;    // parameters and buffers of the model that kept their initial values
  std::vector<std::string> warnings;  // what was reset, resized, left out, not found: sentences
};

// Fills `model` from a safetensors file with timm's, torchvision's or this suite's names, or from
// the checkpoint in a folder; 16-bit and fp64 values are converted. What has no counterpart is left
// as it was and told. Throws Error when nothing at all could be placed, or a value is not finite.
InitialWeights load_initial_weights(const std::string& path, const Model& model);

// [1, 1 + h*h, width] -> [1, tokens, width]: the class token kept, the grid resized as timm does
// (bicubic, with antialiasing).
at::Tensor resize_positions(const at::Tensor& positions, std::int64_t tokens);

}  // namespace sbp::experiments
