// Shapes: [batch, channels, height, width] throughout.
#include "experiments/models/resnet.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max_pool2d.h>

#include <cmath>
#include <optional>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr ResNetSize kSizes[] = {
    {"resnet18", false, {2, 2, 2, 2}},
    {"resnet50", true, {3, 4, 6, 3}},
    {"resnet101", true, {3, 4, 23, 3}},
    {"resnet152", true, {3, 8, 36, 3}},
};

std::int64_t strided(std::int64_t size, std::int64_t stride) {
  return (size - 1) / stride + 1;  // of a k x k kernel padded by k / 2
}

class ResNet : public Model {
 public:
  ResNet(const ResNetOptions& options, const BuildOptions& build)
      : Model(options.input), options_(options), build_(build), make_(build, parameters_) {
    Frame frame = build_stem();
    int index = 0;
    for (std::size_t i = 0; i < options.stages.size(); ++i) {
      const ResNetStage& stage = options.stages[i];
      for (std::int64_t j = 0; j < stage.depth; ++j) {
        const std::string name = concat("layer", i + 1, ".", j);
        frame = build_block(name, index++, frame, stage, j == 0 ? stage.stride : 1);
      }
    }
    build_head(frame.channels);
  }

  at::Tensor forward(Execution& run, const at::Tensor& images) override {
    at::Tensor x = relu(run, stem_act_, conv_norm(run, stem_, images));
    if (pool_layer_ != kNoLayer) {
      const ScopedLayer scope(pool_layer_);
      x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
    }
    for (const Block& block : blocks_) x = forward_block(run, block, x);
    {
      const ScopedLayer scope(head_pool_layer_);
      x = at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
    }
    return run.linear(head_.site, x, head_.weight, head_.bias);
  }

 private:
  // What flows between layers, the batch apart.
  struct Frame {
    std::int64_t channels = 0, height = 0, width = 0;
    RowGeometry geometry() const { return {.height = height, .width = width}; }
  };
  struct ConvShape {
    std::int64_t out = 0, kernel = 1, stride = 1, groups = 1;
  };
  struct ConvNorm {
    SiteId conv_site = -1, norm_site = -1;
    Convolution conv;
    BatchNorm norm;
  };
  struct Block {
    LayerId layer = kNoLayer;
    std::vector<ConvNorm> steps;
    std::vector<SiteId> acts;  // after each step but the last, then after the sum
    std::optional<ConvNorm> downsample;
    SiteId add = -1;
  };

  at::Tensor make_buffer(const std::string& name, LayerId layer, std::int64_t channels,
                         double value) {
    const ScopedLayer scope(layer);
    const at::Tensor buffer =
        at::full({channels}, value, at::dtype(build_.dtype).device(build_.device));
    buffers_.push_back({name, buffer, layer});
    return buffer;
  }

  // A convolution without bias and its batch norm. `frame` becomes what they give.
  ConvNorm make_conv_norm(const std::array<std::string, 2>& names, int block, Frame& frame,
                          const ConvShape& shape) {
    ConvNorm made;
    made.conv_site = sites_.add(names[0], SiteKind::conv2d, block, frame.geometry());
    const std::int64_t area = shape.kernel * shape.kernel;
    // Keeps the variance of gradients through convolution and ReLU (He et al. 2015, fan out).
    const double deviation = std::sqrt(2.0 / static_cast<double>(shape.out * area));
    made.conv = {
        .weight = make_.add(names[0] + ".weight", sites_[made.conv_site].layer,
                            {shape.out, frame.channels / shape.groups, shape.kernel, shape.kernel},
                            normal(deviation)),
        .bias = {},
        .stride = shape.stride,
        .padding = shape.kernel / 2,
        .groups = shape.groups};
    frame = {shape.out, strided(frame.height, shape.stride), strided(frame.width, shape.stride)};
    made.norm_site = sites_.add(names[1], SiteKind::batch_norm, block, frame.geometry());
    const LayerId layer = sites_[made.norm_site].layer;
    made.norm.weight = make_.add(names[1] + ".weight", layer, {shape.out}, kOnes);
    made.norm.bias = make_.add(names[1] + ".bias", layer, {shape.out}, kZeros);
    made.norm.running_mean = make_buffer(names[1] + ".running_mean", layer, shape.out, 0.0);
    made.norm.running_var = make_buffer(names[1] + ".running_var", layer, shape.out, 1.0);
    return made;
  }

  Frame build_stem() {
    Frame frame{options_.input.channels, options_.input.height, options_.input.width};
    const bool small = options_.stem == ResNetStem::small;
    stem_ = make_conv_norm(
        {"conv1", "bn1"}, -1, frame,
        {.out = options_.stem_width, .kernel = small ? 3 : 7, .stride = small ? 1 : 2});
    sites_.set_input(stem_.conv_site, kTheBatch);
    stem_act_ = sites_.add("act1", SiteKind::nonlinearity, -1, frame.geometry());
    if (small) {
      input_from_ = stem_act_;
      return frame;
    }
    pool_layer_ = sites_.layers().add("maxpool", "pool");
    return {frame.channels, strided(frame.height, 2), strided(frame.width, 2)};
  }

  std::vector<ConvShape> steps_of(const ResNetStage& stage, std::int64_t stride) const {
    const ConvShape spatial{stage.inner, 3, stride, stage.groups};
    if (options_.bottleneck) return {{.out = stage.inner}, spatial, {.out = stage.out}};
    return {spatial, {.out = stage.out, .kernel = 3, .groups = stage.groups}};
  }

  Frame build_block(const std::string& name, int index, const Frame& input,
                    const ResNetStage& stage, std::int64_t stride) {
    Block block;
    block.layer = sites_.layers().add(name, "block");
    Frame frame = input;
    int number = 0;
    for (const ConvShape& shape : steps_of(stage, stride)) {
      ++number;
      block.steps.push_back(make_conv_norm(
          {concat(name, ".conv", number), concat(name, ".bn", number)}, index, frame, shape));
      sites_.set_input(block.steps.back().conv_site, number == 1 ? input_from_ : block.acts.back());
      // The last one comes after the sum.
      block.acts.push_back(sites_.add(concat(name, ".act", number), SiteKind::nonlinearity, index,
                                      frame.geometry()));
    }
    if (stride != 1 || input.channels != stage.out) {
      Frame shortcut = input;
      block.downsample = make_conv_norm({name + ".downsample.0", name + ".downsample.1"}, index,
                                        shortcut, {.out = stage.out, .stride = stride});
      sites_.set_input(block.downsample->conv_site, input_from_);
    }
    input_from_ = block.acts.back();
    block.add = sites_.add(name + ".add", SiteKind::residual, index, frame.geometry());
    for (const ConvNorm& step : block.steps) {
      sites_.set_within(step.conv_site, block.add);
      sites_.set_within(step.norm_site, block.add);
    }
    // The last one comes after the sum.
    for (std::size_t i = 0; i + 1 < block.acts.size(); ++i) {
      sites_.set_within(block.acts[i], block.add);
    }
    blocks_.push_back(std::move(block));
    return frame;
  }

  void build_head(std::int64_t channels) {
    head_pool_layer_ = sites_.layers().add("avgpool", "pool");
    const SiteId site = sites_.add("fc", SiteKind::linear);
    const LayerId layer = sites_[site].layer;
    const Initial initial = uniform(1.0 / std::sqrt(static_cast<double>(channels)));
    const std::int64_t classes = options_.input.classes;
    head_ = {site, make_.add("fc.weight", layer, {classes, channels}, initial),
             make_.add("fc.bias", layer, {classes}, initial)};
  }

  static at::Tensor conv_norm(Execution& run, const ConvNorm& step, const at::Tensor& x) {
    return run.batch_norm(step.norm_site, run.conv2d(step.conv_site, x, step.conv), step.norm);
  }

  // Of what only it reads: a batch norm's result, or a sum.
  static at::Tensor relu(Execution& run, SiteId site, const at::Tensor& x) {
    return run.activation(site, Activation::relu, x, /*in_place=*/true);
  }

  at::Tensor forward_block(Execution& run, const Block& block, const at::Tensor& x) {
    const ScopedLayer scope(block.layer);
    // Captures outlive the graph, not only this call: recomputing runs them in backward.
    const auto branch = [&run, &block](const at::Tensor& in) {
      at::Tensor h = in;
      for (std::size_t i = 0; i < block.steps.size(); ++i) {
        if (i > 0) h = relu(run, block.acts[i - 1], h);
        h = conv_norm(run, block.steps[i], h);
      }
      return h;
    };
    ResidualOptions options{.in_place = true};
    if (block.downsample) {
      options.shortcut = [&run, &block](const at::Tensor& in) {
        return conv_norm(run, *block.downsample, in);
      };
    }
    return relu(run, block.acts.back(), run.residual(block.add, x, branch, options));
  }

  ResNetOptions options_;
  BuildOptions build_;
  ParameterMaker make_;
  ConvNorm stem_;
  SiteId stem_act_ = -1;
  SiteId input_from_ = -1;         // the ReLU before the block that is built next; -1: a pool
  LayerId pool_layer_ = kNoLayer;  // none with the small stem
  std::vector<Block> blocks_;
  LayerId head_pool_layer_ = kNoLayer;
  Affine head_;
};

}  // namespace

std::span<const ResNetSize> resnet_sizes() {
  return kSizes;
}

std::vector<ResNetStage> resnet_stages(const ResNetSize& size, std::int64_t width) {
  std::vector<ResNetStage> stages;
  for (const std::int64_t depth : size.depths) {
    const std::int64_t inner = width << stages.size();
    stages.push_back({.depth = depth,
                      .inner = inner,
                      .out = size.bottleneck ? 4 * inner : inner,
                      .stride = stages.empty() ? 1 : 2});
  }
  return stages;
}

std::unique_ptr<Model> make_resnet(const ResNetOptions& options, const BuildOptions& build) {
  return std::make_unique<ResNet>(options, build);
}

}  // namespace sbp::experiments
