// Shapes: B batch, N = 1 + patches tokens, C width, H heads, D = C / H.
#include "experiments/models/vit.h"

#include <ATen/ops/cat.h>

#include <cmath>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr double kNormEpsilon = 1e-6;
constexpr double kWeightDeviation = 0.02;  // of linears, class token and positions, as timm

void check(const VitOptions& o) {
  if (o.image % o.patch != 0) {
    throw UsageError(concat("model 'vit': patch '", o.patch, "' does not divide image '", o.image,
                            "'; use a divisor of the image size"));
  }
  if (o.dim % o.heads != 0) {
    throw UsageError(concat("model 'vit': heads '", o.heads, "' does not divide dim '", o.dim,
                            "'; use a divisor of dim"));
  }
  if (static_cast<std::int64_t>(std::lround(static_cast<double>(o.dim) * o.mlp_ratio)) < 1) {
    throw UsageError(concat("model 'vit': mlp_ratio '", o.mlp_ratio, "' leaves no hidden unit"));
  }
}

class Vit : public Model {
 public:
  Vit(const VitOptions& options, const BuildOptions& build)
      : Model({options.channels, options.image, options.image, options.classes}),
        options_(options),
        make_(build, parameters_) {
    const std::int64_t side = options.image / options.patch;
    grid_ = {.leading = 1, .height = side, .width = side};
    build_stem();
    for (int i = 0; i < options.depth; ++i) build_block(i);
    norm_ = make_norm("norm", -1);
    if (options.dropout > 0.0) drop_ = sites_.add("head_drop", SiteKind::dropout);
    head_ = make_linear("head", -1, options.dim, options.classes);
  }

  at::Tensor forward(Execution& run, const at::Tensor& images) override {
    at::Tensor x = embed(run, images);
    for (const Block& block : blocks_) x = forward_block(run, block, x);
    x = run.layer_norm(norm_.site, x, norm_.weight, norm_.bias, kNormEpsilon);
    x = x.select(1, 0);
    if (drop_ >= 0) x = run.dropout(drop_, x, options_.dropout);
    return run.linear(head_.site, x, head_.weight, head_.bias);
  }

 private:
  struct Block {
    LayerId layer = kNoLayer;
    Affine norm1, qkv, proj, norm2, fc1, fc2;
    SiteId attention = -1, attention_add = -1, mlp = -1, act = -1, mlp_add = -1;
    double drop_path = 0.0;
  };

  Affine make_norm(const std::string& name, int block) {
    const SiteId site = sites_.add(name, SiteKind::norm, block);
    const LayerId layer = sites_[site].layer;
    return {site, make_.add(name + ".weight", layer, {options_.dim}, kOnes),
            make_.add(name + ".bias", layer, {options_.dim}, kZeros)};
  }

  Affine make_linear(const std::string& name, int block, std::int64_t in, std::int64_t out) {
    const SiteId site =
        sites_.add(name, SiteKind::linear, block, block < 0 ? RowGeometry{} : grid_);
    const LayerId layer = sites_[site].layer;
    return {site, make_.add(name + ".weight", layer, {out, in}, truncated_normal(kWeightDeviation)),
            make_.add(name + ".bias", layer, {out}, kZeros)};
  }

  void build_stem() {
    const std::int64_t patch = options_.patch;
    embed_layer_ = sites_.layers().add("embed", "embedding");
    class_token_ = make_.add_embedding("cls_token", embed_layer_, {1, 1, options_.dim},
                                       truncated_normal(kWeightDeviation));
    positions_ = make_.add_embedding("pos_embed", embed_layer_, {1, grid_.rows(), options_.dim},
                                     truncated_normal(kWeightDeviation));
    const std::string name = "patch_embed.proj";
    const SiteId site = sites_.add(name, SiteKind::conv2d);
    const LayerId layer = sites_[site].layer;
    const double deviation =
        1.0 / std::sqrt(static_cast<double>(options_.channels * patch * patch));
    patch_ = {site,
              make_.add(name + ".weight", layer, {options_.dim, options_.channels, patch, patch},
                        truncated_normal(deviation)),
              make_.add(name + ".bias", layer, {options_.dim}, kZeros)};
  }

  void build_block(int index) {
    const std::string name = concat("blocks.", index);
    const std::int64_t dim = options_.dim;
    const auto hidden =
        static_cast<std::int64_t>(std::lround(static_cast<double>(dim) * options_.mlp_ratio));
    Block block;
    block.layer = sites_.layers().add(name, "block");
    block.attention_add = sites_.add(name + ".attn_add", SiteKind::residual, index, grid_);
    block.norm1 = make_norm(name + ".norm1", index);
    block.attention = sites_.add(name + ".attn", SiteKind::attention, index, grid_);
    block.qkv = make_linear(name + ".attn.qkv", index, dim, 3 * dim);
    block.proj = make_linear(name + ".attn.proj", index, dim, dim);
    // Fused attention saves its result, which is the projection's input.
    if (options_.fused_attention) sites_.set_input(block.proj.site, block.attention);
    block.mlp_add = sites_.add(name + ".mlp_add", SiteKind::residual, index, grid_);
    block.norm2 = make_norm(name + ".norm2", index);
    block.mlp = sites_.add(name + ".mlp", SiteKind::positionwise, index, grid_);
    block.fc1 = make_linear(name + ".mlp.fc1", index, dim, hidden);
    block.act = sites_.add(name + ".mlp.act", SiteKind::nonlinearity, index, grid_);
    block.fc2 = make_linear(name + ".mlp.fc2", index, hidden, dim);
    block.drop_path = block_drop_path(options_.drop_path, index, static_cast<int>(options_.depth));
    blocks_.push_back(std::move(block));
  }

  // [B, channels, image, image] -> [B, N, C].
  at::Tensor embed(Execution& run, const at::Tensor& images) {
    const ScopedLayer scope(embed_layer_);
    const at::Tensor patches =
        run.conv2d(patch_.site, images, {patch_.weight, patch_.bias, options_.patch})
            .flatten(2)
            .transpose(1, 2);
    const at::Tensor token = class_token_.expand({images.size(0), 1, options_.dim});
    return at::cat({token, patches}, 1).add(positions_);
  }

  at::Tensor forward_block(Execution& run, const Block& block, const at::Tensor& x) {
    const ScopedLayer scope(block.layer);
    const auto attention = [&](const at::Tensor& rows) {
      return attention_branch(run, block, rows);
    };
    const auto mlp = [&](const at::Tensor& rows) {
      // Captures what outlives the graph, not this call: recomputing runs it in backward.
      return run.positionwise(block.mlp, rows, [this, &run, &block](const at::Tensor& some) {
        return mlp_branch(run, block, some);
      });
    };
    const at::Tensor attended = run.residual(block.attention_add, x, attention, block.drop_path);
    return run.residual(block.mlp_add, attended, mlp, block.drop_path);
  }

  at::Tensor attention_branch(Execution& run, const Block& block, const at::Tensor& x) {
    const std::int64_t heads = options_.heads;
    const std::int64_t head_dim = options_.dim / heads;
    const at::Tensor normed =
        run.layer_norm(block.norm1.site, x, block.norm1.weight, block.norm1.bias, kNormEpsilon);
    const auto parts = run.linear(block.qkv.site, normed, block.qkv.weight, block.qkv.bias)
                           .unflatten(-1, {3, heads, head_dim})
                           .unbind(2);  // q, k, v: [B, N, H, D]
    const AttentionInputs inputs{parts[0], parts[1], parts[2],
                                 1.0 / std::sqrt(static_cast<double>(head_dim)),
                                 options_.fused_attention};
    return run.attention(block.attention, inputs, block.proj.site, [&](const at::Tensor& rows) {
      return run.linear(block.proj.site, rows, block.proj.weight, block.proj.bias);
    });
  }

  // LN, fc1, GELU, fc2: a function of each token alone.
  at::Tensor mlp_branch(Execution& run, const Block& block, const at::Tensor& x) {
    at::Tensor h =
        run.layer_norm(block.norm2.site, x, block.norm2.weight, block.norm2.bias, kNormEpsilon);
    h = run.linear(block.fc1.site, h, block.fc1.weight, block.fc1.bias);
    h = run.gelu(block.act, h);
    return run.linear(block.fc2.site, h, block.fc2.weight, block.fc2.bias);
  }

  VitOptions options_;
  ParameterMaker make_;
  RowGeometry grid_;
  LayerId embed_layer_ = kNoLayer;
  at::Tensor class_token_, positions_;
  Affine patch_, norm_, head_;
  SiteId drop_ = -1;  // none: no dropout
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<Model> make_vit(const VitOptions& options, const BuildOptions& build) {
  check(options);
  return std::make_unique<Vit>(options, build);
}

}  // namespace sbp::experiments
