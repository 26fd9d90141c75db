// Convolutional networks of torchvision by name, with its names, its in-place operations and its
// order of work, so that a step holds what its step holds. (Its ResNets are in resnet.h.)
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "experiments/models/model.h"

namespace sbp::experiments {

struct TorchvisionNet {
  std::string_view name;
  std::string_view summary;
};
std::span<const TorchvisionNet> torchvision_nets();

// `name` is one of the above. Throws UsageError where the image is too small for it.
std::unique_ptr<Model> make_torchvision_net(std::string_view name, const ImageGeometry& input,
                                            const BuildOptions& build);

}  // namespace sbp::experiments
