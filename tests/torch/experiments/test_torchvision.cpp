// torchvision's networks: sizes and names, what a step saves and peaks at to the byte, gradients.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <set>

#include "experiments/models/conv_net.h"
#include "experiments/models/registry.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/profile_run.h"
#include "experiments/strategies.h"
#include "sbp/base/error.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

std::unique_ptr<Model> registered(const std::string& text, const BuildOptions& build,
                                  const ImageGeometry& data = {3, 86, 86, 1000}) {
  return build_model(fit_to_data(parse_spec(text, "model", model_schemas()), data), build);
}

// A step of torchvision 0.29.2 with PyTorch 2.14.1 on the CPU: 86x86 images, SGD, foreach off.
// `saved_bytes` and `logical_bytes` at batch 2, from its saved-tensor hooks; `peak_bytes` at batch
// 16, of all storages that live, counters of batches (`num_batches_tracked`) left out. The factor
// of a dropout that is not in place counts one byte an element, as it takes on CUDA and here; the
// CPU's takes four. PyTorch's own count was taken under a mode that keeps it from summing gradients
// in place: the peaks of mobilenet_v3_large, resnet101 and resnet152, which fall on such a sum, are
// ours (0.15 to 0.35 % below that count).
struct Reading {
  const char* model;
  std::int64_t parameters;  // with 1000 classes
  int classes;              // of the step
  std::int64_t saved_bytes, logical_bytes, peak_bytes;
};

constexpr Reading kReadings[] = {
    {"vgg16", 138'357'544, 1000, 21'127'492, 36'741'252, 1'261'905'864},
    {"vgg19", 143'667'240, 1000, 22'542'660, 39'571'588, 1'309'248'456},
    {"mobilenet_v2", 3'504'872, 1000, 24'917'444, 24'925'444, 220'679'368},
    {"mobilenet_v3_small", 2'542'856, 10, 5'338'452, 5'924'068, 52'783'320},
    {"mobilenet_v3_large", 5'483'032, 10, 14'405'524, 17'215'652, 139'342'296},
    {"mnasnet1_0", 4'383'312, 10, 14'234'068, 20'338'532, 129'326'712},
    {"regnet_x_400mf", 5'495'976, 1000, 8'326'852, 12'963'076, 94'055'112},
    {"regnet_y_400mf", 4'344'144, 1000, 10'907'524, 16'393'412, 110'254'736},
    {"resnet101", 44'549'160, 1000, 42'869'060, 64'634'500, 580'143'048},
    {"resnet152", 60'192'808, 1000, 60'502'340, 90'992'260, 782'677'960},
    {"convnext_tiny:build=torchvision", 28'589'128, 1000, 28'444'684, 28'452'684, 405'772'104},
    {"convnext_base:build=torchvision", 88'591'464, 1000, 60'033'980, 60'041'980, 948'689'224},
};

std::string with_classes(const std::string& model, int classes) {
  return concat(model, model.find(':') == std::string::npos ? ":" : ",", "classes=", classes);
}

struct Step {
  std::string device = "meta";
  std::int64_t image = 86, batch = 2;
  std::string strategy = "full", precision = "fp32";
};

profiler::MemoryProfile measure(const std::string& model, const Step& step) {
  ProfileOptions options;
  options.model = model;
  options.data = concat("synthetic:image=", step.image);
  options.optimizer = "sgd:lr=0.001";
  options.device = step.device;
  options.strategy = step.strategy;
  options.precision = step.precision;
  options.batch = step.batch;
  options.threads = 1;
  options.warmup = 1;
  options.time_steps = 0;
  return run_profile(options).memory;
}

TEST_CASE("torchvision's networks have its parameter counts") {
  for (const Reading& reading : kReadings) {
    CAPTURE(std::string(reading.model));
    const auto model = registered(reading.model, {.device = at::kMeta});
    std::int64_t count = 0;
    std::set<std::string> names;
    for (const Parameter& parameter : model->parameters()) {
      count += parameter.value.numel();
      names.insert(parameter.name);
    }
    CHECK(count == reading.parameters);
    CHECK(names.size() == model->parameters().size());
  }
}

TEST_CASE("their tensors have torchvision's names and shapes") {
  using Shape = std::vector<std::int64_t>;
  const std::tuple<const char*, const char*, Shape> some[] = {
      {"vgg16", "features.28.weight", {512, 512, 3, 3}},
      {"vgg19", "features.34.bias", {512}},
      {"vgg19", "classifier.0.weight", {4096, 25088}},
      {"vgg16", "classifier.6.bias", {1000}},
      {"mobilenet_v2", "features.1.conv.0.0.weight", {32, 1, 3, 3}},
      {"mobilenet_v2", "features.17.conv.2.weight", {320, 960, 1, 1}},
      {"mobilenet_v2", "features.18.1.running_var", {1280}},
      {"mobilenet_v2", "classifier.1.weight", {1000, 1280}},
      {"mobilenet_v3_small", "features.1.block.1.fc1.weight", {8, 16, 1, 1}},
      {"mobilenet_v3_large", "features.13.block.2.fc2.bias", {672}},
      {"mobilenet_v3_large", "features.16.0.weight", {960, 160, 1, 1}},
      {"mobilenet_v3_small", "classifier.3.weight", {1000, 1024}},
      {"mnasnet1_0", "layers.6.weight", {16, 32, 1, 1}},
      {"mnasnet1_0", "layers.12.3.layers.3.weight", {1152, 1, 5, 5}},
      {"mnasnet1_0", "layers.15.running_mean", {1280}},
      {"regnet_x_400mf", "trunk_output.block4.block4-11.f.b.0.weight", {400, 16, 3, 3}},
      {"regnet_x_400mf", "trunk_output.block2.block2-0.proj.0.weight", {64, 32, 1, 1}},
      {"regnet_y_400mf", "trunk_output.block3.block3-0.f.se.fc1.weight", {26, 208, 1, 1}},
      {"resnet152", "layer3.35.bn3.bias", {1024}},
  };
  for (const auto& [name, tensor, shape] : some) {
    CAPTURE(name);
    CAPTURE(tensor);
    const auto model = registered(name, {.device = at::kMeta});
    Shape found;
    for (const Parameter& p : model->parameters()) {
      if (p.name == tensor) found = p.value.sizes().vec();
    }
    for (const Buffer& b : model->buffers()) {
      if (b.name == tensor) found = b.value.sizes().vec();
    }
    CHECK(found == shape);
  }
}

TEST_CASE("a step saves and peaks at what torchvision's does, to the byte") {
  for (const Reading& reading : kReadings) {
    CAPTURE(std::string(reading.model));
    const std::string model = with_classes(reading.model, reading.classes);
    const auto saved = measure(model, {.batch = 2}).saved;
    CHECK(saved.distinct_bytes == reading.saved_bytes);
    CHECK(saved.logical_bytes == reading.logical_bytes);
    const auto memory = measure(model, {.batch = 16});
    CHECK(memory.peak.bytes == reading.peak_bytes);
    CHECK(memory.ledger.balanced);
  }
}

void check_cpu_equals_meta(const std::string& model, Step step) {
  CAPTURE(model);
  CAPTURE(step.strategy);
  step.device = "cpu";
  const auto cpu = measure(model, step);
  step.device = "meta";
  const auto meta = measure(model, step);
  CHECK(cpu.ledger.balanced);
  CHECK(meta.ledger.balanced);
  CHECK(cpu.saved == meta.saved);
  for (const auto& row : cpu.layers) {
    CAPTURE(row.name);
    CHECK(row.saved == tests::layer(meta, row.name).saved);
  }
}

TEST_CASE("their layers save on Meta what they save on the CPU") {
  for (const char* name : {"mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet1_0",
                           "regnet_x_400mf", "regnet_y_400mf"}) {
    check_cpu_equals_meta(with_classes(name, 10), {.image = 33});
  }
  const char* const convnext =
      "convnext:build=torchvision,depths=[1;1;2;1],dims=[8;16;24;32],classes=10,drop_path=0.3";
  check_cpu_equals_meta(convnext, {.image = 46, .batch = 3});
  check_cpu_equals_meta(convnext, {.image = 46, .batch = 3, .precision = "bf16"});
}

TEST_CASE("strategies act on them alike on the CPU and on Meta, and save") {
  const std::string model = with_classes("mobilenet_v3_small", 10);
  const auto full = measure(model, {.image = 64}).saved.distinct_bytes;
  for (const char* strategy : {"dropit:gamma=0.9", "recompute", "sbp:keep=0.5,layers=7-8"}) {
    check_cpu_equals_meta(model, {.image = 64, .strategy = strategy});
    CHECK(measure(model, {.image = 64, .strategy = strategy}).saved.distinct_bytes < full);
  }
  check_cpu_equals_meta(model, {.image = 64, .precision = "bf16"});
}

TEST_CASE("an image that a pool would leave nothing of is refused") {
  std::string message;
  try {
    registered("vgg16", {.device = at::kMeta}, {3, 24, 24, 10});
  } catch (const UsageError& error) {
    message = error.what();
  }
  for (const char* part : {"model 'vgg16'", "image '24'", "1x1 pixels", "'features.30'"}) {
    CHECK(message.find(part) != std::string::npos);
  }
}

// ---- A small net that has one of each layer.

constexpr std::int64_t kClasses = 4, kBatch = 3, kImage = 9;

LayerSpec act(const std::string& name, Activation kind, bool in_place) {
  return {.kind = LayerKind::activation, .name = name, .activation = kind, .in_place = in_place};
}

LayerSpec convolution(const std::string& name, std::int64_t out, std::int64_t kernel = 1,
                      std::int64_t stride = 1, std::int64_t groups = 1) {
  return {.kind = LayerKind::convolution,
          .name = name,
          .out = out,
          .kernel = kernel,
          .stride = stride,
          .groups = groups,
          .bias = true};
}

ConvNetOptions small_net(bool in_place, bool smooth = false) {
  const Sum sum = in_place ? Sum::in_place : Sum::new_tensor;
  const Activation kink = smooth ? Activation::sigmoid : Activation::relu;
  const auto norm = [](const std::string& name) {
    return LayerSpec{.kind = LayerKind::batch_norm, .name = name};
  };
  LayerSpec gate{.kind = LayerKind::gate,
                 .name = "gate",
                 .layers = {{.kind = LayerKind::average_pool, .name = "gate.pool", .out = 1},
                            convolution("gate.fc", 6),
                            act("gate.act", Activation::hardsigmoid, false)}};
  LayerSpec same{
      .name = "same",
      .layers = {convolution("same.0", 6, 3, 1, 6), norm("same.1"),
                 act("same.2", smooth ? Activation::sigmoid : Activation::relu6, in_place),
                 std::move(gate), convolution("same.3", 6), norm("same.4")},
      .sum = sum};
  LayerSpec half{.name = "half",
                 .layers = {convolution("half.0", 8, 3, 2, 2), norm("half.1")},
                 .sum = sum,
                 .shortcut = {convolution("half.2", 8, 1, 2), norm("half.3")},
                 .after = {act("half.4", kink, in_place)}};
  return {
      .input = {3, kImage, kImage, kClasses},
      .layers = {
          convolution("stem", 6, 3),
          norm("stem_norm"),
          act("stem_act", smooth ? Activation::sigmoid : Activation::hardswish, in_place),
          std::move(same),
          std::move(half),
          {.kind = LayerKind::max_pool, .name = "pool", .kernel = 2},
          {.kind = LayerKind::average_pool, .name = "grow", .out = 3},
          {.kind = LayerKind::flatten},
          {.kind = LayerKind::linear, .name = "head", .out = kClasses, .initial = normal(0.2)}}};
}

struct Run {
  double loss = 0.0;
  std::vector<at::Tensor> gradients;
};

Run run_once(Model& model, const std::string& strategy = "full", std::uint32_t step = 0) {
  const Plan plan = resolve(strategy, model.sites(), strategies());
  KeyedMaskSource masks(3);
  Execution run(model.sites(), plan, masks);
  run.begin_step({.step = step, .move_statistics = false});
  at::Generator random = at::detail::createCPUGenerator(7);
  const at::ScalarType type = model.parameters().front().value.scalar_type();
  const ImageGeometry& in = model.input();
  const at::Tensor images =
      at::randn({kBatch, in.channels, in.height, in.width}, random, at::dtype(type));
  const at::Tensor labels = at::randint(in.classes, {kBatch}, random, at::dtype(at::kLong));
  const at::Tensor loss = at::cross_entropy_loss(model.forward(run, images), labels);
  torch::autograd::backward({loss});
  Run result{.loss = loss.item<double>(), .gradients = {}};
  for (const Parameter& parameter : model.parameters()) {
    result.gradients.push_back(parameter.value.grad());
    parameter.value.mutable_grad().reset();
  }
  return result;
}

std::unique_ptr<Model> built(const ConvNetOptions& options) {
  return make_conv_net("small", options, {.dtype = at::kDouble, .seed = 4});
}

TEST_CASE("in place or not, values and gradients are the same, bit for bit") {
  const Run apart = run_once(*built(small_net(false))),
            in_place = run_once(*built(small_net(true)));
  CHECK(apart.loss == in_place.loss);
  for (std::size_t i = 0; i < apart.gradients.size(); ++i) {
    CHECK(apart.gradients[i].equal(in_place.gradients[i]));
  }
}

TEST_CASE("recomputed branches give the full gradient, bit for bit") {
  const auto model = built(small_net(true));
  const Run full = run_once(*model), again = run_once(*model, "recompute");
  CHECK(full.loss == again.loss);
  for (std::size_t i = 0; i < full.gradients.size(); ++i) {
    CHECK(full.gradients[i].equal(again.gradients[i]));
  }
}

TEST_CASE("gradients of a net of all layers equal central differences") {
  // Smooth but for the pool and the gate, whose kinks a small step does not meet.
  const auto model = built(small_net(true, /*smooth=*/true));
  const Run exact = run_once(*model);
  constexpr double kStep = 1e-5;
  at::manual_seed(9);
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < model->parameters().size(); ++i) {
    const Parameter& parameter = model->parameters()[i];
    CAPTURE(parameter.name);
    const at::Tensor direction = at::randn_like(parameter.value);
    const auto loss_at = [&](double step) {
      parameter.value.add_(direction, step);
      const c10::AutoGradMode record(true);
      const double loss = run_once(*model).loss;
      const c10::NoGradGuard again;
      parameter.value.sub_(direction, step);
      return loss;
    };
    const double slope = (loss_at(kStep) - loss_at(-kStep)) / (2.0 * kStep);
    const double expected = exact.gradients[i].mul(direction).sum().item<double>();
    CHECK(slope == doctest::Approx(expected).epsilon(1e-5).scale(1e-3));
  }
}

TEST_CASE("MobileNetV3 and MnasNet learn a batch by heart") {
  const std::pair<std::string, double> rates[] = {{"mobilenet_v3_small", 0.05},
                                                  {"mnasnet1_0", 0.005}};
  for (const auto& [name, rate] : rates) {
    CAPTURE(name);
    const auto model = registered(name, {.seed = 2}, {3, 64, 64, 10});
    const double first = run_once(*model).loss;
    double last = first;
    for (std::uint32_t step = 0; step < 12; ++step) {
      const Run run = run_once(*model, "full", step);
      last = run.loss;
      const c10::NoGradGuard no_grad;
      for (std::size_t i = 0; i < run.gradients.size(); ++i) {
        model->parameters()[i].value.sub_(run.gradients[i], rate);
      }
    }
    CHECK(last < 0.7 * first);
  }
}

}  // namespace
}  // namespace sbp::experiments
