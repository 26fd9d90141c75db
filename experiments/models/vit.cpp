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
    sites_.set_head_reads_leading();
    norm_ = make_norm("norm", -1);
    if (options.dropout > 0.0) drop_ = sites_.add("head_drop", SiteKind::dropout);
    head_ = make_linear({.name = "head"}, options.dim, options.classes);
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
    Affine norm1, qkv, proj;
    Mlp mlp;
    SiteId attention = -1, attention_add = -1, mlp_site = -1, mlp_add = -1;
    double drop_path = 0.0;
  };

  // `within` as Site has it.
  Affine make_norm(const std::string& name, int block, SiteId within = -1) {
    const SiteId site =
        sites_.add({.name = name, .kind = SiteKind::norm, .block = block, .within = within});
    const LayerId layer = sites_[site].layer;
    return {site, make_.add(name + ".weight", layer, {options_.dim}, kOnes),
            make_.add(name + ".bias", layer, {options_.dim}, kZeros)};
  }

  // The rest of `site` is filled in; `in` and `out` are widths.
  Affine make_linear(Site site, std::int64_t in, std::int64_t out) {
    site.kind = SiteKind::linear;
    const std::string name = site.name;
    const SiteId id = sites_.add(std::move(site));
    const LayerId layer = sites_[id].layer;
    return {id, make_.add(name + ".weight", layer, {out, in}, truncated_normal(kWeightDeviation)),
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
    sites_.set_input(site, kTheBatch);
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
    Block block;
    block.layer = sites_.layers().add(name, "block");
    block.attention_add = sites_.add(name + ".attn_add", SiteKind::residual, index, grid_);
    block.norm1 = make_norm(name + ".norm1", index);
    block.attention = sites_.add({.name = name + ".attn",
                                  .kind = SiteKind::attention,
                                  .block = index,
                                  .geometry = grid_,
                                  .heads = static_cast<int>(options_.heads)});
    const auto linear = [&](const std::string& part, std::int64_t out) {
      return make_linear({.name = name + part, .block = index, .geometry = grid_}, dim, out);
    };
    block.qkv = linear(".attn.qkv", 3 * dim);
    block.proj = linear(".attn.proj", dim);
    sites_.set_within(block.attention, block.attention_add);
    for (const SiteId part : {block.norm1.site, block.qkv.site, block.proj.site}) {
      sites_.set_within(part, block.attention);
    }
    // Fused attention saves its result, which is the projection's input.
    if (options_.fused_attention) sites_.set_input(block.proj.site, block.attention);
    block.mlp_add = sites_.add(name + ".mlp_add", SiteKind::residual, index, grid_);
    build_mlp(block, name, index);
    block.drop_path = block_drop_path(options_.drop_path, index, static_cast<int>(options_.depth));
    blocks_.push_back(std::move(block));
  }

  void build_mlp(Block& block, const std::string& name, int index) {
    const auto hidden = static_cast<std::int64_t>(
        std::lround(static_cast<double>(options_.dim) * options_.mlp_ratio));
    block.mlp_site = sites_.add(name + ".mlp", SiteKind::positionwise, index, grid_);
    sites_.set_within(block.mlp_site, block.mlp_add);
    block.mlp.norm = make_norm(name + ".norm2", index, block.mlp_site);
    Site part{
        .name = name + ".mlp.fc1", .block = index, .geometry = grid_, .within = block.mlp_site};
    block.mlp.fc1 = make_linear(part, options_.dim, hidden);
    part.name = name + ".mlp.act";
    part.kind = SiteKind::nonlinearity;
    block.mlp.act = sites_.add(part);
    part.name = name + ".mlp.fc2";
    block.mlp.fc2 = make_linear(part, hidden, options_.dim);
    block.mlp.epsilon = kNormEpsilon;
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
    // Captures outlive the graph, not only this call: recomputing runs them in backward.
    const auto attention = [this, &run, &block](const at::Tensor& rows) {
      return run.attention(block.attention, rows, attention_branch(run, block));
    };
    const auto mlp = [&run, &block](const at::Tensor& rows) {
      return run.mlp(block.mlp_site, rows, block.mlp);
    };
    const at::Tensor going_on = run.depart(block.attention_add, x);
    const ResidualOptions options{.drop_path = block.drop_path};
    const at::Tensor attended = run.residual(block.attention_add, going_on, attention, options);
    return run.residual(block.mlp_add, attended, mlp, options);
  }

  AttentionBranch attention_branch(Execution& run, const Block& block) const {
    const std::int64_t heads = options_.heads, head_dim = options_.dim / heads;
    AttentionBranch branch;
    branch.project_in = [&run, &block, heads, head_dim](const at::Tensor& x) {
      const at::Tensor normed =
          run.layer_norm(block.norm1.site, x, block.norm1.weight, block.norm1.bias, kNormEpsilon);
      return run.linear(block.qkv.site, normed, block.qkv.weight, block.qkv.bias)
          .unflatten(-1, {3, heads, head_dim});
    };
    branch.projection = block.proj.site;
    branch.project_out = [&run, &block](const at::Tensor& x) {
      return run.linear(block.proj.site, x, block.proj.weight, block.proj.bias);
    };
    branch.scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
    branch.fused = options_.fused_attention;
    return branch;
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
