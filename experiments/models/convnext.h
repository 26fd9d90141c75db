// ConvNeXt (Liu et al., CVPR 2022) from depths and widths. Activations are rows [batch, height *
// width, channels] throughout; a channels-last image is a view of them.
#pragma once

#include <memory>
#include <vector>

#include "experiments/models/model.h"

namespace sbp::experiments {

struct ConvnextOptions {
  std::int64_t image = 224;
  std::int64_t channels = 3;
  std::int64_t stem = 4;  // side of the patch that becomes one pixel of the first stage
  std::vector<std::int64_t> depths = {3, 3, 9, 3};  // blocks of each stage
  std::vector<std::int64_t> dims = {96, 192, 384, 768};
  std::int64_t classes = 1000;
  double layer_scale = 1e-6;  // first value of gamma; 0: no gamma
  double drop_path = 0.0;     // of the last block; 0 in the first, linear between
  double dropout = 0.0;       // before the head
  bool unfused_stem = false;  // the stem normalises with plain operators
  bool unfused_norm = false;  // downsampling does
  // As torchvision computes: downsampling is a convolution, the stem's image is normalised as it
  // lies, sums are in place. Names and the shapes of all but the downsampling's weight stay.
  bool torchvision = false;
};

// Throws UsageError where sizes do not go together (image, stem and the number of stages; depths
// and dims).
std::unique_ptr<Model> make_convnext(const ConvnextOptions& options, const BuildOptions& build);

// The output of each stage, [batch, dims[i], height, width], as views. `model` must come from
// make_convnext.
std::vector<at::Tensor> convnext_stages(Model& model, Execution& run, const at::Tensor& images);

// A 2x2, stride-2 convolution weight [out, in, 2, 2] as the weight [out, 4 * in] of the linear that
// does the same to pixels (row, column) (0,0) (1,0) (0,1) (1,1) laid end to end.
at::Tensor downsample_weight_from_convolution(const at::Tensor& weight);

}  // namespace sbp::experiments
