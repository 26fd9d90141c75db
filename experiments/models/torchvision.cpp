// Tables of the networks' sizes, and how each family lays its layers out.
//
// VGG: Simonyan & Zisserman 2015. MobileNetV2: Sandler et al. 2018. MobileNetV3: Howard et al.
// 2019. MnasNet: Tan et al. 2019, form B1. RegNet: Radosavovic et al. 2020.
#include "experiments/models/torchvision.h"

#include <array>
#include <cmath>
#include <optional>

#include "experiments/models/conv_net.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

using Layers = std::vector<LayerSpec>;

constexpr TorchvisionNet kNets[] = {
    {"vgg16", "13 convolutions, 3 linears, no norm"},
    {"vgg19", "16 convolutions, 3 linears, no norm"},
    {"mobilenet_v2", "inverted residuals, ReLU6"},
    {"mobilenet_v3_small", "inverted residuals, squeeze-and-excitation, hard swish"},
    {"mobilenet_v3_large", "inverted residuals, squeeze-and-excitation, hard swish"},
    {"mnasnet1_0", "inverted residuals, ReLU"},
    {"regnet_x_400mf", "1+2+7+12 bottleneck blocks of grouped convolutions"},
    {"regnet_y_400mf", "1+3+6+6 bottleneck blocks, squeeze-and-excitation"},
};

void append(Layers& layers, Layers more) {
  for (LayerSpec& layer : more) layers.push_back(std::move(layer));
}

LayerSpec activation(std::string name, Activation kind, bool in_place = true) {
  return {.kind = LayerKind::activation,
          .name = std::move(name),
          .activation = kind,
          .in_place = in_place};
}

LayerSpec dropout(std::string name, double rate, bool in_place) {
  return {.kind = LayerKind::dropout, .name = std::move(name), .in_place = in_place, .rate = rate};
}

LayerSpec linear(std::string name, std::int64_t out, Initial initial = normal(0.01)) {
  return {.kind = LayerKind::linear, .name = std::move(name), .out = out, .initial = initial};
}

LayerSpec flatten() {
  return {.kind = LayerKind::flatten};
}

struct ConvShape {
  std::int64_t out = 0, kernel = 1, stride = 1, groups = 1;
};

// Convolution, batch norm and perhaps an activation, "NAME.N", "NAME.N+1" and "NAME.N+2".
Layers conv_norm(const std::string& name, int number, const ConvShape& shape,
                 std::optional<Activation> kind) {
  const auto numbered = [&](int place) { return concat(name, ".", number + place); };
  Layers layers = {{.kind = LayerKind::convolution,
                    .name = numbered(0),
                    .out = shape.out,
                    .kernel = shape.kernel,
                    .stride = shape.stride,
                    .groups = shape.groups},
                   {.kind = LayerKind::batch_norm, .name = numbered(1)}};
  if (kind) layers.push_back(activation(numbered(2), *kind));
  return layers;
}

struct GateShape {
  std::int64_t inner = 0;  // channels squeezed to
  Activation scale = Activation::sigmoid;
};

LayerSpec gate(const std::string& name, std::int64_t channels, const GateShape& shape) {
  const auto pointwise = [&](const char* part, std::int64_t out) {
    return LayerSpec{.kind = LayerKind::convolution, .name = name + part, .out = out, .bias = true};
  };
  return {.kind = LayerKind::gate,
          .name = name,
          .layers = {{.kind = LayerKind::average_pool, .name = name + ".avgpool", .out = 1},
                     pointwise(".fc1", shape.inner),
                     activation(name + ".activation", Activation::relu, /*in_place=*/false),
                     pointwise(".fc2", channels),
                     activation(name + ".scale_activation", shape.scale, /*in_place=*/false)}};
}

// The nearest multiple of 8, but no less than nine tenths of `channels`.
std::int64_t to_multiple_of_8(double channels) {
  const auto nearest = static_cast<std::int64_t>(channels + 4.0) / 8 * 8;
  const std::int64_t least = std::max<std::int64_t>(8, nearest);
  return static_cast<double>(least) < 0.9 * channels ? least + 8 : least;
}

// ---- VGG

Layers vgg(const std::array<int, 5>& depths, std::int64_t classes) {
  constexpr std::array<std::int64_t, 5> kWidths = {64, 128, 256, 512, 512};
  constexpr std::int64_t kHidden = 4096, kPooledSide = 7;
  Layers layers;
  int number = 0;
  const auto next = [&](const char* list) { return concat(list, ".", number++); };
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    for (int i = 0; i < depths[stage]; ++i) {
      LayerSpec convolution{.kind = LayerKind::convolution,
                            .name = next("features"),
                            .out = kWidths[stage],
                            .kernel = 3,
                            .bias = true};
      Layers pair = {std::move(convolution), activation(next("features"), Activation::relu)};
      if (stage == 0 && i == 0) {
        append(layers, std::move(pair));  // the stem
      } else {
        layers.push_back({.layers = std::move(pair)});
      }
    }
    layers.push_back({.kind = LayerKind::max_pool, .name = next("features"), .kernel = 2});
  }
  layers.push_back({.kind = LayerKind::average_pool, .name = "avgpool", .out = kPooledSide});
  layers.push_back(flatten());
  number = 0;
  for (int i = 0; i < 2; ++i) {
    LayerSpec hidden = linear(next("classifier"), kHidden);
    LayerSpec act = activation(next("classifier"), Activation::relu);
    LayerSpec drop = dropout(next("classifier"), 0.5, /*in_place=*/false);
    layers.push_back({.layers = {std::move(hidden), std::move(act), std::move(drop)}});
  }
  layers.push_back(linear(next("classifier"), classes));
  return layers;
}

// ---- Inverted residuals

// Blocks of one kind that follow each other, the first of stride `stride`.
struct InvertedRow {
  std::int64_t kernel, expansion, out, repeats, stride;
};

constexpr InvertedRow kMobilenetV2[] = {
    {3, 1, 16, 1, 1}, {3, 6, 24, 2, 2},  {3, 6, 32, 3, 2},  {3, 6, 64, 4, 2},
    {3, 6, 96, 3, 1}, {3, 6, 160, 3, 2}, {3, 6, 320, 1, 1},
};

Layers mobilenet_v2(std::int64_t classes) {
  constexpr auto kAct = Activation::relu6;
  std::int64_t channels = 32;
  Layers layers = conv_norm("features.0", 0, {channels, 3, 2}, kAct);
  int number = 1;
  for (const InvertedRow& row : kMobilenetV2) {
    for (std::int64_t i = 0; i < row.repeats; ++i) {
      const std::int64_t stride = i == 0 ? row.stride : 1, wide = channels * row.expansion;
      const std::string name = concat("features.", number++), inner = name + ".conv";
      Layers body;
      int place = 0;
      const auto next = [&] { return concat(inner, ".", place++); };
      if (row.expansion > 1) append(body, conv_norm(next(), 0, {wide}, kAct));
      append(body, conv_norm(next(), 0, {wide, row.kernel, stride, wide}, kAct));
      append(body, conv_norm(inner, place, {row.out}, {}));
      const bool adds = stride == 1 && channels == row.out;
      layers.push_back(
          {.name = name, .layers = std::move(body), .sum = adds ? Sum::new_tensor : Sum::none});
      channels = row.out;
    }
  }
  const std::string last = concat("features.", number);
  layers.push_back({.name = last, .layers = conv_norm(last, 0, {1280}, kAct)});
  layers.push_back({.kind = LayerKind::average_pool, .name = "avgpool", .out = 1});
  append(layers, {flatten(), dropout("classifier.0", 0.2, /*in_place=*/false),
                  linear("classifier.1", classes)});
  return layers;
}

constexpr InvertedRow kMnasnet[] = {
    {3, 3, 24, 3, 2}, {5, 3, 40, 3, 2},  {5, 6, 80, 3, 2},
    {3, 6, 96, 2, 1}, {5, 6, 192, 4, 2}, {3, 6, 320, 1, 1},
};

Layers mnasnet(std::int64_t classes) {
  constexpr auto kAct = Activation::relu;
  std::int64_t channels = 16;
  Layers layers = conv_norm("layers", 0, {32, 3, 2}, kAct);
  Layers separable = conv_norm("layers", 3, {32, 3, 1, 32}, kAct);
  append(separable, conv_norm("layers", 6, {channels}, {}));
  layers.push_back({.layers = std::move(separable)});
  int stack = 8;
  for (const InvertedRow& row : kMnasnet) {
    for (std::int64_t i = 0; i < row.repeats; ++i) {
      const std::int64_t stride = i == 0 ? row.stride : 1, wide = channels * row.expansion;
      const std::string name = concat("layers.", stack, ".", i), inner = name + ".layers";
      Layers body = conv_norm(inner, 0, {wide}, kAct);
      append(body, conv_norm(inner, 3, {wide, row.kernel, stride, wide}, kAct));
      append(body, conv_norm(inner, 6, {row.out}, {}));
      const bool adds = stride == 1 && channels == row.out;
      layers.push_back(
          {.name = name, .layers = std::move(body), .sum = adds ? Sum::new_tensor : Sum::none});
      channels = row.out;
    }
    ++stack;
  }
  layers.push_back({.layers = conv_norm("layers", stack, {1280}, kAct)});
  layers.push_back({.kind = LayerKind::mean, .name = "mean"});
  // Uniform, keeping the variance of gradients of a linear (He et al. 2015, fan out).
  const Initial initial = uniform(std::sqrt(3.0 / static_cast<double>(classes)));
  append(layers, {dropout("classifier.0", 0.2, /*in_place=*/true),
                  linear("classifier.1", classes, initial)});
  return layers;
}

// ---- MobileNetV3

struct V3Row {
  std::int64_t kernel, expanded, out;
  bool has_gate, is_hard_swish;
  std::int64_t stride;
};

constexpr V3Row kMobilenetV3Small[] = {
    {3, 16, 16, true, false, 2}, {3, 72, 24, false, false, 2}, {3, 88, 24, false, false, 1},
    {5, 96, 40, true, true, 2},  {5, 240, 40, true, true, 1},  {5, 240, 40, true, true, 1},
    {5, 120, 48, true, true, 1}, {5, 144, 48, true, true, 1},  {5, 288, 96, true, true, 2},
    {5, 576, 96, true, true, 1}, {5, 576, 96, true, true, 1},
};

constexpr V3Row kMobilenetV3Large[] = {
    {3, 16, 16, false, false, 1}, {3, 64, 24, false, false, 2}, {3, 72, 24, false, false, 1},
    {5, 72, 40, true, false, 2},  {5, 120, 40, true, false, 1}, {5, 120, 40, true, false, 1},
    {3, 240, 80, false, true, 2}, {3, 200, 80, false, true, 1}, {3, 184, 80, false, true, 1},
    {3, 184, 80, false, true, 1}, {3, 480, 112, true, true, 1}, {3, 672, 112, true, true, 1},
    {5, 672, 160, true, true, 2}, {5, 960, 160, true, true, 1}, {5, 960, 160, true, true, 1},
};

LayerSpec v3_block(const std::string& name, std::int64_t channels, const V3Row& row) {
  const Activation act = row.is_hard_swish ? Activation::hardswish : Activation::relu;
  int place = 0;
  const auto next = [&] { return concat(name, ".block.", place++); };
  Layers body;
  if (row.expanded != channels) append(body, conv_norm(next(), 0, {row.expanded}, act));
  append(body, conv_norm(next(), 0, {row.expanded, row.kernel, row.stride, row.expanded}, act));
  if (row.has_gate) {
    const std::int64_t inner = to_multiple_of_8(static_cast<double>(row.expanded / 4));
    body.push_back(gate(next(), row.expanded, {inner, Activation::hardsigmoid}));
  }
  append(body, conv_norm(next(), 0, {row.out}, {}));
  const bool adds = row.stride == 1 && channels == row.out;
  return {.name = name, .layers = std::move(body), .sum = adds ? Sum::in_place : Sum::none};
}

Layers mobilenet_v3(std::span<const V3Row> rows, std::int64_t hidden, std::int64_t classes) {
  constexpr auto kAct = Activation::hardswish;
  std::int64_t channels = 16;
  Layers layers = conv_norm("features.0", 0, {channels, 3, 2}, kAct);
  int number = 1;
  for (const V3Row& row : rows) {
    layers.push_back(v3_block(concat("features.", number++), channels, row));
    channels = row.out;
  }
  const std::string last = concat("features.", number);
  layers.push_back({.name = last, .layers = conv_norm(last, 0, {6 * channels}, kAct)});
  layers.push_back({.kind = LayerKind::average_pool, .name = "avgpool", .out = 1});
  layers.push_back(flatten());
  layers.push_back({.layers = {linear("classifier.0", hidden), activation("classifier.1", kAct),
                               dropout("classifier.2", 0.2, /*in_place=*/true)}});
  layers.push_back(linear("classifier.3", classes));
  return layers;
}

// ---- RegNet

struct RegnetSize {
  std::array<std::int64_t, 4> depths, widths;
  std::int64_t group_width;
  bool has_gate;  // squeezed to a quarter of the block's input
};

constexpr RegnetSize kRegnetX400{{1, 2, 7, 12}, {32, 64, 160, 400}, 16, false};
constexpr RegnetSize kRegnetY400{{1, 3, 6, 6}, {48, 104, 208, 440}, 8, true};

Layers regnet(const RegnetSize& size, std::int64_t classes) {
  constexpr auto kAct = Activation::relu;
  std::int64_t channels = 32;
  Layers layers = conv_norm("stem", 0, {channels, 3, 2}, kAct);
  for (std::size_t stage = 0; stage < size.depths.size(); ++stage) {
    const std::int64_t width = size.widths[stage];
    for (std::int64_t i = 0; i < size.depths[stage]; ++i) {
      const std::string name = concat("trunk_output.block", stage + 1, ".block", stage + 1, "-", i);
      const std::int64_t stride = i == 0 ? 2 : 1;
      LayerSpec block{.name = name, .sum = Sum::new_tensor};
      block.layers = conv_norm(name + ".f.a", 0, {width}, kAct);
      append(block.layers,
             conv_norm(name + ".f.b", 0, {width, 3, stride, width / size.group_width}, kAct));
      if (size.has_gate) {
        const std::int64_t inner = std::lround(static_cast<double>(channels) / 4.0);
        block.layers.push_back(gate(name + ".f.se", width, {inner}));
      }
      append(block.layers, conv_norm(name + ".f.c", 0, {width}, {}));
      if (i == 0) block.shortcut = conv_norm(name + ".proj", 0, {width, 1, stride}, {});
      block.after = {activation(name + ".activation", kAct)};
      layers.push_back(std::move(block));
      channels = width;
    }
  }
  layers.push_back({.kind = LayerKind::average_pool, .name = "avgpool", .out = 1});
  append(layers, {flatten(), linear("fc", classes)});
  return layers;
}

ConvNetOptions options_of(std::string_view name, const ImageGeometry& input) {
  const std::int64_t classes = input.classes;
  if (name == "vgg16") return {input, vgg({2, 2, 3, 3, 3}, classes)};
  if (name == "vgg19") return {input, vgg({2, 2, 4, 4, 4}, classes)};
  if (name == "mobilenet_v2") return {input, mobilenet_v2(classes)};
  if (name == "mobilenet_v3_small") {
    return {input, mobilenet_v3(kMobilenetV3Small, 1024, classes), 0.01, 1e-3};
  }
  if (name == "mobilenet_v3_large") {
    return {input, mobilenet_v3(kMobilenetV3Large, 1280, classes), 0.01, 1e-3};
  }
  if (name == "mnasnet1_0") return {input, mnasnet(classes), 3e-4};
  if (name == "regnet_x_400mf") return {input, regnet(kRegnetX400, classes)};
  if (name == "regnet_y_400mf") return {input, regnet(kRegnetY400, classes)};
  throw Error(concat("no network of torchvision is called '", name, "'"));
}

}  // namespace

std::span<const TorchvisionNet> torchvision_nets() {
  return kNets;
}

std::unique_ptr<Model> make_torchvision_net(std::string_view name, const ImageGeometry& input,
                                            const BuildOptions& build) {
  return make_conv_net(std::string(name), options_of(name, input), build);
}

}  // namespace sbp::experiments
