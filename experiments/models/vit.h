// Vision transformers (ViT, DeiT): pre-norm blocks, class token, learned positions.
#pragma once

#include <memory>

#include "experiments/models/model.h"

namespace sbp::experiments {

struct VitOptions {
  std::int64_t image = 224;
  std::int64_t patch = 16;
  std::int64_t channels = 3;
  std::int64_t dim = 192;
  std::int64_t depth = 12;
  std::int64_t heads = 3;
  double mlp_ratio = 4.0;
  std::int64_t classes = 1000;
  bool fused_attention = false;
  double drop_path = 0.0;  // of the last block; 0 in the first, linear between
  double dropout = 0.0;    // before the head
};

// Throws UsageError where sizes do not go together (image and patch, dim and heads).
std::unique_ptr<Model> make_vit(const VitOptions& options, const BuildOptions& build);

}  // namespace sbp::experiments
