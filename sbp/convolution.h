// Two-dimensional convolution, exact or with a coded input.
#pragma once

#include <ATen/core/Tensor.h>

#include "sbp/saved.h"

namespace sbp {

// What stands around the image, `padding` pixels on each side.
enum class PaddingMode : std::uint8_t { zeros, circular, reflect, replicate };

// y = w * x + b over [batch, channels, height, width]; `bias` may be undefined.
struct Convolution {
  at::Tensor weight = {};  // [out, in / groups, height, width]
  at::Tensor bias = {};    // [out]
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t groups = 1;
  std::int64_t dilation = 1;
  PaddingMode padding_mode = PaddingMode::zeros;
};

// Saves x. Padding other than zeros is done first; then the padded image is what is saved.
at::Tensor conv2d(const at::Tensor& x, const Convolution& convolution);

// What is convolved: x, padded unless the convolution itself puts zeros around it.
at::Tensor padded_image(const at::Tensor& x, const Convolution& convolution);
// Of the weight, for an image that padded_image gave; without recording.
at::Tensor convolution_weight_gradient(const at::Tensor& image, const at::Tensor& gradient,
                                       const Convolution& convolution);

// The same value, bit for bit. Saves the code of the same tensor; only the weight gradient uses
// what it decodes to, input and bias gradients are exact.
at::Tensor coded_conv2d(const at::Tensor& x, const Convolution& convolution, const Coding& coding);

}  // namespace sbp
