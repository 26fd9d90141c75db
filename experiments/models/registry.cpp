#include "experiments/models/registry.h"

#include <algorithm>

#include "experiments/models/mlp.h"
#include "experiments/models/resnet.h"
#include "experiments/models/vit.h"
#include "experiments/runs/catalogue.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

KeySchema count(std::string key, std::int64_t value, std::string help, double minimum = 1) {
  return {.key = std::move(key),
          .kind = ValueKind::integer,
          .default_value = std::to_string(value),
          .help = std::move(help),
          .minimum = minimum,
          .maximum = 1e6};
}

std::vector<KeySchema> input_keys(std::int64_t image) {
  return {count("image", image, "side of the square input in pixels; 0: the data's", 0),
          count("channels", 0, "input channels; 0: the data's", 0),
          count("classes", 0, "outputs of the head; 0: the data's (1000 for synthetic)", 0)};
}

struct VitSize {
  std::string_view name;
  std::int64_t image, patch, dim, depth, heads;
};

SpecSchema vit_schema(const VitSize& size, std::string summary) {
  std::vector<KeySchema> keys = input_keys(size.image);
  keys.insert(keys.end(), {count("patch", size.patch, "side of a patch in pixels"),
                           count("dim", size.dim, "width of a token"),
                           count("depth", size.depth, "blocks"),
                           count("heads", size.heads, "attention heads; must divide dim"),
                           {.key = "mlp_ratio",
                            .kind = ValueKind::real,
                            .default_value = "4",
                            .help = "hidden width of the MLP over dim",
                            .minimum = 0.0,
                            .maximum = 64.0,
                            .open_minimum = true},
                           {.key = "attention",
                            .kind = ValueKind::word,
                            .default_value = "eager",
                            .help = "eager saves the attention map; fused is the flash kernel",
                            .words = {"eager", "fused"}}});
  return {std::string(size.name), std::move(summary), std::move(keys)};
}

SpecSchema resnet_schema(const ResNetSize& size) {
  // Any image goes through a convolutional net, so its size is the data's.
  std::vector<KeySchema> keys = input_keys(0);
  keys.insert(keys.end(), {count("width", 64, "channels of the first stage"),
                           {.key = "stem",
                            .kind = ValueKind::word,
                            .default_value = "imagenet",
                            .help = "small: 3x3 of stride 1 and no max pool, for 32-pixel images",
                            .words = {"imagenet", "small"}}});
  const auto& depths = size.depths;
  return {std::string(size.name),
          concat(depths[0], "+", depths[1], "+", depths[2], "+", depths[3],
                 size.bottleneck ? " bottleneck" : " basic", " blocks, batch norm"),
          std::move(keys)};
}

std::vector<SpecSchema> make_schemas() {
  constexpr VitSize kPresets[] = {
      {"vit_tiny_patch16_224", 224, 16, 192, 12, 3},
      {"vit_small_patch16_224", 224, 16, 384, 12, 6},
      {"vit_base_patch16_224", 224, 16, 768, 12, 12},
      {"vit_large_patch16_224", 224, 16, 1024, 24, 16},
      {"deit_tiny_patch16_224", 224, 16, 192, 12, 3},
      {"deit_small_patch16_224", 224, 16, 384, 12, 6},
      {"deit_base_patch16_224", 224, 16, 768, 12, 12},
  };
  std::vector<SpecSchema> schemas;
  for (const VitSize& preset : kPresets) {
    schemas.push_back(vit_schema(preset, concat("width ", preset.dim, ", ", preset.depth,
                                                " blocks, ", preset.heads, " heads")));
  }
  schemas.push_back(vit_schema({"vit", 0, 16, 192, 12, 3}, "a vision transformer of any size"));
  for (const ResNetSize& size : resnet_sizes()) schemas.push_back(resnet_schema(size));
  std::vector<KeySchema> keys = input_keys(0);
  keys.insert(keys.end(), {count("hidden", 256, "width of the hidden layers"),
                           count("depth", 3, "linear layers, the head included")});
  schemas.push_back({"mlp", "linear layers with GELU between them", std::move(keys)});
  return schemas;
}

}  // namespace

const std::vector<SpecSchema>& model_schemas() {
  static const std::vector<SpecSchema> schemas = make_schemas();
  return schemas;
}

ImageGeometry input_of(const Spec& spec) {
  const std::int64_t image = spec.integer("image");
  return {spec.integer("channels"), image, image, spec.integer("classes")};
}

Spec fit_to_data(const Spec& spec, const ImageGeometry& data) {
  const ImageGeometry wanted = input_of(spec);
  const auto differs = [](std::int64_t model, std::int64_t given) {
    return model != 0 && model != given;
  };
  if (differs(wanted.height, data.height) || differs(wanted.width, data.width) ||
      differs(wanted.channels, data.channels)) {
    throw UsageError(concat(
        "model '", spec.name, "' is for ", wanted.channels == 0 ? data.channels : wanted.channels,
        "x", wanted.height == 0 ? data.height : wanted.height, "x",
        wanted.width == 0 ? data.width : wanted.width, " images and the data has ", data.channels,
        "x", data.height, "x", data.width,
        "; leave image and channels to the data, as in "
        "'vit:patch=...'"));
  }
  if (data.height != data.width) {
    throw UsageError(concat("model '", spec.name, "' takes square images and the data has ",
                            data.height, "x", data.width));
  }
  if (wanted.classes != 0 && wanted.classes < data.classes) {
    throw UsageError(concat("model '", spec.name, "' has classes '", wanted.classes,
                            "' and the data has ", data.classes, "; use classes=", data.classes,
                            " or more"));
  }
  Spec fitted = spec;
  fill_zero(fitted, "image", data.height);
  fill_zero(fitted, "channels", data.channels);
  fill_zero(fitted, "classes", data.classes);
  return fitted;
}

std::unique_ptr<Model> build_model(const Spec& spec, const BuildOptions& options) {
  if (spec.name == "mlp") {
    return make_mlp(
        {.input = input_of(spec), .hidden = spec.integer("hidden"), .depth = spec.integer("depth")},
        options);
  }
  const auto resnet = std::ranges::find(resnet_sizes(), spec.name, &ResNetSize::name);
  if (resnet != resnet_sizes().end()) {
    const std::int64_t width = spec.integer("width");
    return make_resnet(
        {.input = input_of(spec),
         .bottleneck = resnet->bottleneck,
         .stages = resnet_stages(*resnet, width),
         .stem_width = width,
         .stem = spec.text("stem") == "small" ? ResNetStem::small : ResNetStem::imagenet},
        options);
  }
  return make_vit({.image = spec.integer("image"),
                   .patch = spec.integer("patch"),
                   .channels = spec.integer("channels"),
                   .dim = spec.integer("dim"),
                   .depth = spec.integer("depth"),
                   .heads = spec.integer("heads"),
                   .mlp_ratio = spec.real("mlp_ratio"),
                   .classes = spec.integer("classes"),
                   .fused_attention = spec.text("attention") == "fused"},
                  options);
}

}  // namespace sbp::experiments
