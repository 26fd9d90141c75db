#include "experiments/models/registry.h"

#include <algorithm>

#include "experiments/models/convnext.h"
#include "experiments/models/mlp.h"
#include "experiments/models/resnet.h"
#include "experiments/models/torchvision.h"
#include "experiments/models/vit.h"
#include "experiments/runs/catalogue.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::experiments {
namespace {

KeySchema count(std::string key, std::int64_t value, std::string help, double minimum = 1,
                double maximum = 1e6) {
  return {.key = std::move(key),
          .kind = ValueKind::integer,
          .default_value = std::to_string(value),
          .help = std::move(help),
          .minimum = minimum,
          .maximum = maximum};
}

constexpr double kMostPixels = 16384;  // a side
constexpr double kMostLayers = 1000;

std::vector<KeySchema> input_keys(std::int64_t image) {
  return {
      count("image", image, "side of the square input in pixels; 0: the data's", 0, kMostPixels),
      count("channels", 0, "input channels; 0: the data's", 0),
      count("classes", 0, "outputs of the head; 0: the data's (1000 for synthetic)", 0)};
}

KeySchema share(std::string key, std::string help) {
  return {.key = std::move(key),
          .kind = ValueKind::real,
          .default_value = "0",
          .help = std::move(help),
          .minimum = 0.0,
          .maximum = 1.0,
          .open_maximum = true};
}

// Regularisation that draws anew each step.
std::vector<KeySchema> drop_keys() {
  return {share("drop_path", "probability that a sample skips the last block; 0 in the first"),
          share("dropout", "share of the head's inputs that is zeroed in training")};
}

struct VitSize {
  std::string_view name;
  std::int64_t image, patch, dim, depth, heads;
};

SpecSchema vit_schema(const VitSize& size, std::string summary) {
  std::vector<KeySchema> keys = input_keys(size.image);
  keys.insert(keys.end(), {count("patch", size.patch, "side of a patch in pixels"),
                           count("dim", size.dim, "width of a token"),
                           count("depth", size.depth, "blocks", 1, kMostLayers),
                           count("heads", size.heads, "attention heads; must divide dim"),
                           {.key = "mlp_ratio",
                            .kind = ValueKind::real,
                            .default_value = "4",
                            .help = "hidden width of the MLP over dim",
                            .minimum = 0.0,
                            .maximum = 64.0,
                            .open_minimum = true},
                           word_key("attention", {"eager", "fused"},
                                    "eager saves the attention map; fused is the flash kernel")});
  for (KeySchema& key : drop_keys()) keys.push_back(std::move(key));
  return {std::string(size.name), std::move(summary), std::move(keys)};
}

struct ConvnextSize {
  std::string_view name, depths, dims;
  std::string_view torchvision_drop_path;
};

constexpr ConvnextSize kConvnextSizes[] = {
    {"convnext_tiny", "[3;3;9;3]", "[96;192;384;768]", "0.1"},
    {"convnext_small", "[3;3;27;3]", "[96;192;384;768]", "0.4"},
    {"convnext_base", "[3;3;27;3]", "[128;256;512;1024]", "0.5"},
    {"convnext", "[3;3;9;3]", "[96;192;384;768]", "0"},
};

SpecSchema convnext_schema(const ConvnextSize& size, std::string summary) {
  std::vector<KeySchema> keys = input_keys(0);
  keys.insert(keys.end(),
              {{.key = "depths",
                .default_value = std::string(size.depths),
                .help = "blocks of each stage, [3;3;9;3]"},
               {.key = "dims",
                .default_value = std::string(size.dims),
                .help = "width of each stage, [96;192;384;768]"},
               count("stem", 4, "side of the first patch in pixels; 2 or 1 for 32x32"),
               {.key = "layer_scale",
                .kind = ValueKind::real,
                .default_value = "1e-6",
                .help = "first value of a block's scale; 0: no scale",
                .minimum = 0.0,
                .maximum = 1e6},
               word_key("norm", {"fused", "unfused", "unfused_stem"},
                        "unfused: stem and downsampling normalise by plain operators, as the "
                        "plain model of published figures; unfused_stem: the stem alone, as the "
                        "model there that drops"),
               word_key("build", {"own", "torchvision"},
                        "torchvision: its downsampling by convolution, its sums in place, its "
                        "drop path")});
  for (KeySchema& key : drop_keys()) keys.push_back(std::move(key));
  KeySchema& drop_path = *std::ranges::find(keys, "drop_path", &KeySchema::key);
  drop_path.default_value = "auto";
  drop_path.help += concat("; auto: 0, with build=torchvision ", size.torchvision_drop_path);
  return {std::string(size.name), std::move(summary), std::move(keys)};
}

std::vector<SpecSchema> convnext_schemas() {
  std::vector<SpecSchema> schemas;
  for (const ConvnextSize& size : kConvnextSizes) {
    schemas.push_back(convnext_schema(
        size, size.name == "convnext" ? "a ConvNeXt of any size"
                                      : concat("depths ", size.depths, ", widths ", size.dims)));
  }
  return schemas;
}

void fill_drop_path(Spec& spec) {
  const auto size = std::ranges::find(kConvnextSizes, spec.name, &ConvnextSize::name);
  if (size == std::end(kConvnextSizes)) return;
  const bool torchvision = spec.text("build") == "torchvision";
  fill_auto(spec, "drop_path", torchvision ? size->torchvision_drop_path : "0");
}

// A list of whole numbers from 1 on: "[3;3;9;3]".
std::vector<std::int64_t> sizes_of(const Spec& spec, const std::string& key) {
  constexpr std::int64_t kMaximum = 100'000;
  std::vector<std::int64_t> sizes;
  for (const std::string& item : parse_list(spec.text(key))) {
    std::int64_t size = 0;
    if (parse_number(item, size) != std::errc() || size < 1 || size > kMaximum) {
      throw UsageError(concat("model '", spec.name, "' has ", key, " '", spec.text(key),
                              "'; use a list of whole numbers from 1 to ", kMaximum,
                              " such as [3;3;9;3]"));
    }
    sizes.push_back(size);
  }
  return sizes;
}

std::unique_ptr<Model> build_convnext(const Spec& spec, const BuildOptions& options) {
  return make_convnext({.image = spec.integer("image"),
                        .channels = spec.integer("channels"),
                        .stem = spec.integer("stem"),
                        .depths = sizes_of(spec, "depths"),
                        .dims = sizes_of(spec, "dims"),
                        .classes = spec.integer("classes"),
                        .layer_scale = spec.real("layer_scale"),
                        .drop_path = spec.real("drop_path"),
                        .dropout = spec.real("dropout"),
                        .unfused_stem = spec.text("norm") != "fused",
                        .unfused_norm = spec.text("norm") == "unfused",
                        .torchvision = spec.text("build") == "torchvision"},
                       options);
}

SpecSchema resnet_schema(const ResNetSize& size) {
  // Any image goes through a convolutional net, so its size is the data's.
  std::vector<KeySchema> keys = input_keys(0);
  keys.insert(keys.end(),
              {count("width", 64, "channels of the first stage"),
               word_key("stem", {"imagenet", "small"},
                        "small: 3x3 of stride 1 and no max pool, for 32-pixel images")});
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
  for (SpecSchema& schema : convnext_schemas()) schemas.push_back(std::move(schema));
  for (const ResNetSize& size : resnet_sizes()) schemas.push_back(resnet_schema(size));
  for (const TorchvisionNet& net : torchvision_nets()) {
    schemas.push_back({std::string(net.name), std::string(net.summary), input_keys(0)});
  }
  std::vector<KeySchema> keys = input_keys(0);
  keys.insert(keys.end(), {count("hidden", 256, "width of the hidden layers"),
                           count("depth", 3, "linear layers, the head included", 1, kMostLayers)});
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
  fill_drop_path(fitted);
  return fitted;
}

std::unique_ptr<Model> build_model(const Spec& spec, const BuildOptions& options) {
  if (spec.name == "mlp") {
    return make_mlp(
        {.input = input_of(spec), .hidden = spec.integer("hidden"), .depth = spec.integer("depth")},
        options);
  }
  if (spec.name.starts_with("convnext")) return build_convnext(spec, options);
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
  const auto net = std::ranges::find(torchvision_nets(), spec.name, &TorchvisionNet::name);
  if (net != torchvision_nets().end()) {
    return make_torchvision_net(net->name, input_of(spec), options);
  }
  return make_vit({.image = spec.integer("image"),
                   .patch = spec.integer("patch"),
                   .channels = spec.integer("channels"),
                   .dim = spec.integer("dim"),
                   .depth = spec.integer("depth"),
                   .heads = spec.integer("heads"),
                   .mlp_ratio = spec.real("mlp_ratio"),
                   .classes = spec.integer("classes"),
                   .fused_attention = spec.text("attention") == "fused",
                   .drop_path = spec.real("drop_path"),
                   .dropout = spec.real("dropout")},
                  options);
}

}  // namespace sbp::experiments
