// Shapes: B batch, H height, W width, N = H * W rows, C width of a stage.
#include "experiments/models/convnext.h"

#include <c10/core/GradMode.h>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr double kNormEpsilon = 1e-6;
constexpr double kWeightDeviation = 0.02;  // of every convolution and linear, as timm
constexpr std::int64_t kKernel = 7;

void check(const ConvnextOptions& o) {
  if (o.depths.size() != o.dims.size() || o.depths.empty()) {
    throw UsageError(concat("model 'convnext': ", o.depths.size(), " depths and ", o.dims.size(),
                            " dims; give one of each a stage"));
  }
  if (o.image % o.stem != 0 && !o.torchvision) {
    throw UsageError(concat("model 'convnext': stem '", o.stem, "' does not divide image '",
                            o.image, "'; use a divisor of the image size"));
  }
  if (o.image / o.stem >> (o.depths.size() - 1) < 1) {
    throw UsageError(concat("model 'convnext': image '", o.image, "' with stem '", o.stem,
                            "' leaves nothing after ", o.depths.size() - 1,
                            " halvings; use a smaller stem or fewer stages"));
  }
}

// [B, N, C] -> [B, C, H, W] in channels-last order, and back: both views.
at::Tensor image_of(const at::Tensor& rows, std::int64_t side) {
  return rows.unflatten(1, {side, side}).permute({0, 3, 1, 2});
}
at::Tensor rows_of(const at::Tensor& image) {
  return image.flatten(2).transpose(1, 2);
}

// [B, side * side, C] -> [B, (side / 2)^2, 4C]: pixels (row, column) (0,0) (1,0) (0,1) (1,1) of
// each 2x2 square. An odd last row and column are left out, as a stride-2 convolution does.
at::Tensor space_to_depth(const at::Tensor& rows, std::int64_t side) {
  const std::int64_t half = side / 2;
  at::Tensor x = rows.unflatten(1, {side, side});
  if (side % 2 != 0) x = x.narrow(1, 0, 2 * half).narrow(2, 0, 2 * half);
  return x.unflatten(1, {half, 2})
      .unflatten(3, {half, 2})      // [B, half, row, half, column, C]
      .permute({0, 1, 3, 4, 2, 5})  // [B, half, half, column, row, C]
      .reshape({rows.size(0), half * half, 4 * rows.size(2)});
}

class Convnext : public Model {
 public:
  Convnext(const ConvnextOptions& options, const BuildOptions& build)
      : Model({options.channels, options.image, options.image, options.classes}),
        options_(options),
        on_meta_(build.device.is_meta()),
        make_(build, parameters_) {
    for (const std::int64_t depth : options.depths) block_count_ += static_cast<int>(depth);
    build_stem();
    std::int64_t side = options.image / options.stem;
    for (std::size_t i = 0; i < options.depths.size(); ++i) {
      if (i > 0) side /= 2;
      build_stage(static_cast<int>(i), side);
    }
    head_layer_ = sites_.layers().add("head", "head");
    head_norm_ = make_norm({.name = "head.norm"}, options.dims.back());
    if (options.dropout > 0.0) drop_ = sites_.add("head.drop", SiteKind::dropout);
    head_ = make_linear({.name = "head.fc"}, options.dims.back(), options.classes);
  }

  at::Tensor forward(Execution& run, const at::Tensor& images) override {
    at::Tensor x = forward_stem(run, images);
    for (const Stage& stage : stages_) x = forward_stage(run, stage, x);
    {
      const ScopedLayer scope(head_layer_);
      x = x.mean(1);
    }
    x = run.layer_norm(head_norm_.site, x, head_norm_.weight, head_norm_.bias, kNormEpsilon);
    if (drop_ >= 0) x = run.dropout(drop_, x, options_.dropout);
    return run.linear(head_.site, x, head_.weight, head_.bias);
  }

  std::vector<at::Tensor> stage_outputs(Execution& run, const at::Tensor& images) {
    std::vector<at::Tensor> outputs;
    at::Tensor x = forward_stem(run, images);
    for (const Stage& stage : stages_) {
      x = forward_stage(run, stage, x);
      outputs.push_back(image_of(x, stage.side));
    }
    return outputs;
  }

 private:
  struct Block {
    LayerId layer = kNoLayer;
    Affine depthwise;
    Mlp mlp;
    SiteId add = -1, body = -1;
    double drop_path = 0.0;
  };
  struct Stage {
    std::int64_t side = 0;
    std::int64_t side_before = 0;
    LayerId down_layer = kNoLayer;  // none in the first stage
    Affine down_norm = {}, down = {};
    SiteId down_body = -1;  // none where it is a convolution
    std::vector<Block> blocks = {};
  };

  // The rest of `site` is filled in; `in` and `out` are widths.
  Affine make_norm(Site site, std::int64_t width) {
    site.kind = SiteKind::norm;
    const SiteId id = sites_.add(site);
    const LayerId layer = sites_[id].layer;
    return {id, make_.add(site.name + ".weight", layer, {width}, kOnes),
            make_.add(site.name + ".bias", layer, {width}, kZeros)};
  }
  Affine make_linear(Site site, std::int64_t in, std::int64_t out) {
    site.kind = SiteKind::linear;
    return make_weighted(site, {out, in});
  }
  Affine make_weighted(const Site& site, const std::vector<std::int64_t>& shape) {
    const SiteId id = sites_.add(site);
    const LayerId layer = sites_[id].layer;
    return {id, make_.add(site.name + ".weight", layer, shape, truncated_normal(kWeightDeviation)),
            make_.add(site.name + ".bias", layer, {shape[0]}, kZeros)};
  }

  void build_stem() {
    const std::int64_t width = options_.dims.front(), side = options_.stem;
    stem_layer_ = sites_.layers().add("stem", "stem");
    stem_ = make_weighted({.name = "stem.0", .kind = SiteKind::conv2d},
                          {width, options_.channels, side, side});
    sites_.set_input(stem_.site, kTheBatch);
    stem_norm_ = make_norm({.name = "stem.1"}, width);
  }

  void build_stage(int index, std::int64_t side) {
    const RowGeometry grid{.height = side, .width = side, .cell_pixels = options_.stem << index};
    const auto i = static_cast<std::size_t>(index);
    Stage stage{.side = side};
    if (index > 0) {
      stage.side_before = stages_.back().side;
      build_downsampling(stage, index, grid);
    }
    for (std::int64_t j = 0; j < options_.depths[i]; ++j) {
      build_block(stage, concat("stages.", index, ".blocks.", j),
                  {.name = {}, .block = next_block_, .geometry = grid, .stage = index});
    }
    stages_.push_back(std::move(stage));
  }

  void build_downsampling(Stage& stage, int index, const RowGeometry& grid) {
    const auto i = static_cast<std::size_t>(index);
    const std::string name = concat("stages.", index, ".downsample");
    Site site{.name = name,
              .kind = SiteKind::positionwise,
              .block = next_block_,
              .geometry = grid,
              .stage = index};
    stage.down_layer = sites_.layers().add(name, "block");
    Site norm = site;
    norm.name = name + ".0";
    norm.geometry = {.height = stage.side_before,
                     .width = stage.side_before,
                     .cell_pixels = grid.cell_pixels / 2};
    stage.down_norm = make_norm(norm, options_.dims[i - 1]);
    if (options_.torchvision) {
      norm.name = name + ".1";
      norm.kind = SiteKind::conv2d;
      stage.down = make_weighted(norm, {options_.dims[i], options_.dims[i - 1], 2, 2});
      return;
    }
    stage.down_body = sites_.add(site);
    site.name = name + ".1";
    stage.down = make_linear(site, 4 * options_.dims[i - 1], options_.dims[i]);
  }

  // `site` holds what all sites of the block have in common.
  void build_block(Stage& stage, const std::string& name, Site site) {
    const std::int64_t width = options_.dims[static_cast<std::size_t>(site.stage)];
    const auto named = [&](std::string_view part, SiteKind kind) {
      site.name = concat(name, part);
      site.kind = kind;
      return site;
    };
    Block block;
    block.layer = sites_.layers().add(name, "block");
    block.add = sites_.add(named(".add", SiteKind::residual));
    block.depthwise =
        make_weighted(named(".conv_dw", SiteKind::conv2d), {width, 1, kKernel, kKernel});
    block.body = sites_.add(named(".mlp", SiteKind::positionwise));
    for (const SiteId part : {block.depthwise.site, block.body}) sites_.set_within(part, block.add);
    site.within = block.body;
    Mlp& mlp = block.mlp;
    mlp.norm = make_norm(named(".norm", SiteKind::norm), width);
    mlp.fc1 = make_linear(named(".mlp.fc1", SiteKind::linear), width, 4 * width);
    mlp.act = sites_.add(named(".mlp.act", SiteKind::nonlinearity));
    mlp.fc2 = make_linear(named(".mlp.fc2", SiteKind::linear), 4 * width, width);
    mlp.epsilon = kNormEpsilon;
    if (options_.layer_scale > 0.0) make_layer_scale(mlp, name + ".gamma", width);
    block.drop_path = block_drop_path(options_.drop_path, next_block_, block_count_);
    ++next_block_;
    stage.blocks.push_back(std::move(block));
  }

  void make_layer_scale(Mlp& mlp, const std::string& name, std::int64_t width) {
    mlp.scale_layer = sites_.layers().add(name, "layer_scale");
    mlp.scale = make_.add(name, mlp.scale_layer, {width}, kOnes);
    const c10::NoGradGuard no_grad;
    if (!on_meta_) mlp.scale.fill_(options_.layer_scale);
  }

  // [B, channels, image, image] -> [B, N, C].
  at::Tensor forward_stem(Execution& run, const at::Tensor& images) {
    const ScopedLayer scope(stem_layer_);
    const at::Tensor patches =
        run.conv2d(stem_.site, images, {stem_.weight, stem_.bias, options_.stem});
    const at::Tensor rows = rows_of(patches);
    // The one copy into channels-last order, as images come channel by channel; torchvision leaves
    // it to the norm.
    return normalise(run, stem_norm_, options_.torchvision ? rows : rows.contiguous());
  }

  at::Tensor forward_stage(Execution& run, const Stage& stage, at::Tensor x) {
    if (stage.down.site >= 0) x = forward_downsampling(run, stage, x);
    for (const Block& block : stage.blocks) x = forward_block(run, block, stage.side, x);
    return x;
  }

  at::Tensor forward_downsampling(Execution& run, const Stage& stage, const at::Tensor& x) {
    const ScopedLayer scope(stage.down_layer);
    const at::Tensor normed = normalise(run, stage.down_norm, x);
    if (options_.torchvision) {
      const at::Tensor image = image_of(normed, stage.side_before);
      return rows_of(
          run.conv2d(stage.down.site, image,
                     {.weight = stage.down.weight, .bias = stage.down.bias, .stride = 2}));
    }
    const at::Tensor pixels = space_to_depth(normed, stage.side_before);
    return run.positionwise(stage.down_body, pixels, [&run, &stage](const at::Tensor& rows) {
      return run.linear(stage.down.site, rows, stage.down.weight, stage.down.bias);
    });
  }

  at::Tensor forward_block(Execution& run, const Block& block, std::int64_t side,
                           const at::Tensor& x) {
    const ScopedLayer scope(block.layer);
    // Captures outlive the graph, not only this call: recomputing runs them in backward.
    const auto branch = [&run, &block, side](const at::Tensor& rows) {
      const at::Tensor mixed = rows_of(run.conv2d(block.depthwise.site, image_of(rows, side),
                                                  {.weight = block.depthwise.weight,
                                                   .bias = block.depthwise.bias,
                                                   .padding = kKernel / 2,
                                                   .groups = rows.size(2)}));
      return run.mlp(block.body, mixed, block.mlp);
    };
    return run.residual(block.add, x, branch,
                        {.drop_path = block.drop_path, .in_place = options_.torchvision});
  }

  // Layer norm of the stem and of a downsampling.
  at::Tensor normalise(Execution& run, const Affine& norm, const at::Tensor& x) {
    const bool is_stem = norm.site == stem_norm_.site;
    if (!(is_stem ? options_.unfused_stem : options_.unfused_norm)) {
      return run.layer_norm(norm.site, x, norm.weight, norm.bias, kNormEpsilon);
    }
    // Operator by operator, as the released plain model: autograd keeps three maps for one.
    const ScopedLayer scope(sites_[norm.site].layer);
    const at::Tensor mean = x.mean(-1, /*keepdim=*/true);
    // Of these a list of CUDA's has the power in fp32.
    const at::Tensor centred = run.precision().norm_input(x.sub(mean));
    const at::Tensor variance = centred.pow(2).mean(-1, /*keepdim=*/true);
    return x.sub(mean).div(variance.add(kNormEpsilon).sqrt()).mul(norm.weight).add(norm.bias);
  }

  ConvnextOptions options_;
  bool on_meta_;
  ParameterMaker make_;
  int block_count_ = 0, next_block_ = 0;
  LayerId stem_layer_ = kNoLayer, head_layer_ = kNoLayer;
  Affine stem_, stem_norm_, head_norm_, head_;
  SiteId drop_ = -1;  // none: no dropout
  std::vector<Stage> stages_;
};

}  // namespace

std::unique_ptr<Model> make_convnext(const ConvnextOptions& options, const BuildOptions& build) {
  check(options);
  return std::make_unique<Convnext>(options, build);
}

std::vector<at::Tensor> convnext_stages(Model& model, Execution& run, const at::Tensor& images) {
  auto* convnext = dynamic_cast<Convnext*>(&model);
  if (convnext == nullptr) throw Error("stage outputs were asked of a model that is no ConvNeXt");
  return convnext->stage_outputs(run, images);
}

at::Tensor downsample_weight_from_convolution(const at::Tensor& weight) {
  if (weight.dim() != 4 || weight.size(2) != 2 || weight.size(3) != 2) {
    std::string shape;
    for (const std::int64_t size : weight.sizes()) shape += concat(shape.empty() ? "" : "x", size);
    throw Error(concat("a downsampling needs a convolution weight [out, in, 2, 2] and was given '",
                       shape, "'"));
  }
  return weight.permute({0, 3, 2, 1}).reshape({weight.size(0), 4 * weight.size(1)});
}

}  // namespace sbp::experiments
