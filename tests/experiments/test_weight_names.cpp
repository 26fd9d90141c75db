#include <doctest/doctest.h>

#include "experiments/data/weight_names.h"

using sbp::experiments::ModelShapes;
using sbp::experiments::PlacedTensor;
using sbp::experiments::Placement;
using sbp::experiments::plan_placement;
using sbp::experiments::timm_name_of;

namespace {

using Names = std::vector<std::string>;

const ModelShapes kVit = {.parameters = {{"cls_token", {1, 1, 8}},
                                         {"pos_embed", {1, 5, 8}},
                                         {"patch_embed.proj.weight", {8, 3, 4, 4}},
                                         {"blocks.0.attn.qkv.weight", {24, 8}},
                                         {"head.weight", {10, 8}},
                                         {"head.bias", {10}}},
                          .buffers = {}};

}  // namespace

TEST_CASE("weight names: torchvision's become timm's") {
  const std::vector<std::pair<std::string, std::string>> known = {
      {"class_token", "cls_token"},
      {"conv_proj.bias", "patch_embed.proj.bias"},
      {"encoder.pos_embedding", "pos_embed"},
      {"encoder.layers.encoder_layer_11.ln_1.weight", "blocks.11.norm1.weight"},
      {"encoder.layers.encoder_layer_0.self_attention.in_proj_weight", "blocks.0.attn.qkv.weight"},
      {"encoder.layers.encoder_layer_0.self_attention.in_proj_bias", "blocks.0.attn.qkv.bias"},
      {"encoder.layers.encoder_layer_3.self_attention.out_proj.bias", "blocks.3.attn.proj.bias"},
      {"encoder.layers.encoder_layer_3.ln_2.bias", "blocks.3.norm2.bias"},
      {"encoder.layers.encoder_layer_3.mlp.0.weight", "blocks.3.mlp.fc1.weight"},
      {"encoder.layers.encoder_layer_3.mlp.3.bias", "blocks.3.mlp.fc2.bias"},
      {"encoder.layers.encoder_layer_3.mlp.linear_2.bias", "blocks.3.mlp.fc2.bias"},
      {"encoder.ln.weight", "norm.weight"},
      {"heads.head.weight", "head.weight"},
      {"features.0.0.weight", "stem.0.weight"},
      {"features.0.1.bias", "stem.1.bias"},
      {"features.1.0.block.0.weight", "stages.0.blocks.0.conv_dw.weight"},
      {"features.3.2.block.2.bias", "stages.1.blocks.2.norm.bias"},
      {"features.5.26.block.3.weight", "stages.2.blocks.26.mlp.fc1.weight"},
      {"features.7.1.block.5.weight", "stages.3.blocks.1.mlp.fc2.weight"},
      {"features.7.1.layer_scale", "stages.3.blocks.1.gamma"},
      {"features.2.0.weight", "stages.1.downsample.0.weight"},
      {"features.6.1.bias", "stages.3.downsample.1.bias"},
      {"classifier.0.weight", "head.norm.weight"},
      {"classifier.2.bias", "head.fc.bias"},
  };
  for (const auto& [stored, own] : known) CHECK(timm_name_of(stored) == own);
  // Residual networks are called the same in both, and near misses are not guessed at.
  for (const char* name :
       {"layer1.0.conv1.weight", "fc.weight", "class_tokens", "encoder.ln.", "features.9.0.weight",
        "encoder.layers.encoder_layer_.ln_1.weight", "features.1.0.block.1.weight", ""}) {
    CHECK(timm_name_of(name) == std::nullopt);
  }
}

TEST_CASE("weight names: own names, wrapped names and other families are placed") {
  const auto plan = plan_placement(kVit, {{"class_token", {1, 1, 8}},
                                          {"pos_embed", {1, 5, 8}},
                                          {"module.patch_embed.proj.weight", {8, 3, 4, 4}},
                                          {"head.weight", {10, 8}},
                                          {"head.bias", {10}}});
  CHECK(plan.placed ==
        std::vector<PlacedTensor>{{"cls_token", "class_token"},
                                  {"head.bias", "head.bias"},
                                  {"head.weight", "head.weight"},
                                  {"patch_embed.proj.weight", "module.patch_embed.proj.weight"},
                                  {"pos_embed", "pos_embed"}});
  CHECK(plan.changes.empty());
  CHECK(plan.unused.empty());
  CHECK(plan.missing == Names{"'blocks.0.attn.qkv.weight'"});
}

TEST_CASE("weight names: another head is reset, positions are resized, the rest is told") {
  const auto plan = plan_placement(kVit, {{"cls_token", {1, 1, 16}},
                                          {"encoder.pos_embedding", {1, 197, 8}},
                                          {"patch_embed.proj.weight", {8, 3, 4, 4}},
                                          {"conv_proj.weight", {8, 3, 4, 4}},
                                          {"fc_norm.weight", {8}},
                                          {"head.weight", {1000, 8}},
                                          {"head.bias", {1000}}});
  // In the order of the file's names; `conv_proj` comes first and takes the place.
  CHECK(plan.placed == std::vector<PlacedTensor>{
                           {"patch_embed.proj.weight", "conv_proj.weight"},
                           {"pos_embed", "encoder.pos_embedding", Placement::resize_positions}});
  CHECK(plan.changes ==
        Names{"resized 'pos_embed' from [1, 197, 8] to [1, 5, 8] (bicubic)",
              "reset 'head.bias': it is [1000] in the file and [10] in the model",
              "reset 'head.weight': it is [1000, 8] in the file and [10, 8] in the model"});
  CHECK(plan.unused ==
        Names{"'cls_token' ([1, 1, 16], in the model [1, 1, 8])", "'fc_norm.weight'",
              "'patch_embed.proj.weight' ('patch_embed.proj.weight' is placed already)"});
  CHECK(plan.missing == Names{"'cls_token'", "'blocks.0.attn.qkv.weight'"});
}

TEST_CASE("weight names: positions that are no square grid with a class token stay out") {
  for (const std::int64_t tokens : {1, 4, 6, 198}) {
    CHECK(plan_placement(kVit, {{"pos_embed", {1, tokens, 8}}}).placed.empty());
  }
}

TEST_CASE("weight names: a head differs in its classes only") {
  CHECK(plan_placement(kVit, {{"head.weight", {1000, 16}}}).changes.empty());
  CHECK(plan_placement(kVit, {{"blocks.0.attn.qkv.weight", {48, 8}}}).changes.empty());
}

TEST_CASE("weight names: convolutions that are linears here, and sizes of one") {
  const ModelShapes model = {.parameters = {{"stages.1.downsample.1.weight", {16, 32}},
                                            {"stages.0.blocks.0.gamma", {8}},
                                            {"stages.0.blocks.0.mlp.fc1.weight", {32, 8}},
                                            {"head.fc.weight", {10, 16}}},
                             .buffers = {{"bn1.running_mean", {4}}}};
  const auto plan = plan_placement(model, {{"features.2.1.weight", {16, 8, 2, 2}},
                                           {"features.1.0.layer_scale", {8, 1, 1}},
                                           {"stages.0.blocks.0.mlp.fc1.weight", {32, 8, 1, 1}},
                                           {"bn1.running_mean", {4}},
                                           {"bn1.num_batches_tracked", {}},
                                           {"head.fc.weight", {10, 8}}});
  CHECK(plan.placed ==
        std::vector<PlacedTensor>{
            {"bn1.running_mean", "bn1.running_mean"},
            {"stages.0.blocks.0.gamma", "features.1.0.layer_scale", Placement::reshape},
            {"stages.1.downsample.1.weight", "features.2.1.weight", Placement::convolution},
            {"stages.0.blocks.0.mlp.fc1.weight", "stages.0.blocks.0.mlp.fc1.weight",
             Placement::reshape}});
  CHECK(plan.unused == Names{"'head.fc.weight' ([10, 8], in the model [10, 16])"});
  CHECK(plan.missing == Names{"'head.fc.weight'"});
}

TEST_CASE("weight names: of a checkpoint, weights and buffers") {
  const ModelShapes model = {.parameters = {{"fc.weight", {2, 2}}},
                             .buffers = {{"bn1.running_mean", {4}}}};
  const auto plan = plan_placement(model, {{"fc.weight", {2, 2}},
                                           {"buffer/bn1.running_mean", {4}},
                                           {"optimizer/momentum/fc.weight", {2, 2}},
                                           {"average/fc.weight", {2, 2}}});
  CHECK(plan.placed == std::vector<PlacedTensor>{{"bn1.running_mean", "buffer/bn1.running_mean"},
                                                 {"fc.weight", "fc.weight"}});
  CHECK(plan.unused.empty());
  CHECK(plan.missing.empty());
}
