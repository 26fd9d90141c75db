// Residual networks with batch norm (He et al., "Deep Residual Learning", CVPR 2016), their stride
// in the 3x3 convolution as torchvision has it, and with torchvision's parameter names.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "experiments/models/model.h"

namespace sbp::experiments {

struct ResNetStage {
  std::int64_t depth = 1;   // blocks
  std::int64_t inner = 64;  // channels of the 3x3 convolutions
  std::int64_t out = 64;    // channels of the stage's result
  std::int64_t stride = 1;  // of its first block
  std::int64_t groups = 1;  // of the 3x3 convolutions
};

enum class ResNetStem {
  imagenet,  // 7x7 convolution of stride 2 and a max pool of stride 2
  small,     // 3x3 convolution of stride 1, for images of 32 pixels
};

struct ResNetOptions {
  ImageGeometry input;
  bool bottleneck = false;  // 1x1, 3x3, 1x1 instead of 3x3, 3x3
  std::vector<ResNetStage> stages;
  std::int64_t stem_width = 64;
  ResNetStem stem = ResNetStem::imagenet;
};

// A net by name: a row of the table.
struct ResNetSize {
  std::string_view name;
  bool bottleneck;
  std::array<std::int64_t, 4> depths;
};
std::span<const ResNetSize> resnet_sizes();

// Stages whose width doubles from `width` on, as their resolution halves.
std::vector<ResNetStage> resnet_stages(const ResNetSize& size, std::int64_t width);

std::unique_ptr<Model> make_resnet(const ResNetOptions& options, const BuildOptions& build);

}  // namespace sbp::experiments
