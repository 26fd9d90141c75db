// Convolutional networks from a list of layers, each with torchvision's name for it: what its
// modules are to torchvision, a LayerSpec is here. Activations are [batch, channels, height, width]
// until they are flattened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/models/model.h"
#include "sbp/activation.h"

namespace sbp::experiments {

enum class LayerKind : std::uint8_t {
  convolution,  // of odd kernel, padded by half of it
  batch_norm,
  activation,
  max_pool,      // of `kernel` and an equal stride, without padding
  average_pool,  // to `out` x `out` values a channel, whatever comes
  mean,          // over height and width, which are gone then
  flatten,       // [batch, channels * height * width]
  dropout,
  linear,
  gate,   // x times what `layers` make of it: squeeze-and-excitation
  block,  // `layers` and perhaps a sum with its input, then `after`
};

enum class Sum : std::uint8_t { none, new_tensor, in_place };

struct LayerSpec {
  LayerKind kind = LayerKind::block;
  std::string name = {};  // torchvision's; a block without one only counts as one
  std::int64_t out = 0;   // channels, or a pool's side
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t groups = 1;
  bool bias = false;  // of a convolution; a linear has one
  Activation activation = Activation::relu;
  bool in_place = false;     // of an activation or dropout
  double rate = 0.0;         // of dropout
  Initial initial = kZeros;  // of a linear's weight
  std::vector<LayerSpec> layers = {};
  Sum sum = Sum::none;
  std::vector<LayerSpec> shortcut = {};  // runs before `layers`; none: the block's input itself
  std::vector<LayerSpec> after = {};
};

struct ConvNetOptions {
  ImageGeometry input;
  std::vector<LayerSpec> layers;
  double norm_momentum = 0.1;
  double norm_epsilon = 1e-5;
};

// Convolutions start normal, keeping the variance of gradients (He et al. 2015, fan out, groups
// left out of account), biases at zero. Throws UsageError where a pool leaves nothing of the image;
// `name` is the model's.
std::unique_ptr<Model> make_conv_net(const std::string& name, const ConvNetOptions& options,
                                     const BuildOptions& build);

}  // namespace sbp::experiments
