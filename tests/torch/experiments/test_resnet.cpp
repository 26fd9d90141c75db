// ResNets: sizes and names, a training step against the same net in plain operators, and what
// each block saves, to the byte.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <set>

#include "experiments/models/registry.h"
#include "experiments/models/resnet.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/profile_run.h"
#include "experiments/strategies.h"
#include "profiler/ledger.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/error.h"
#include "tests/torch/experiments/measured_step.h"
#include "tests/torch/experiments/plain_resnet.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

constexpr std::int64_t kBatch = 3, kClasses = 5;

std::unique_ptr<Model> registered(const std::string& text) {
  const Spec spec = parse_spec(text, "model", model_schemas());
  return build_model(fit_to_data(spec, {3, 224, 224, 1000}), {.device = at::kMeta});
}

TEST_CASE("ResNets have the published sizes and torchvision's names") {
  const std::pair<const char*, std::int64_t> counts[] = {{"resnet18", 11'689'512},
                                                         {"resnet50", 25'557'032}};
  for (const auto& [name, published] : counts) {
    const auto model = registered(name);
    std::int64_t count = 0;
    for (const Parameter& parameter : model->parameters()) {
      count += parameter.value.numel();
      CHECK(parameter.decays == (parameter.value.dim() > 1));
    }
    CAPTURE(name);
    CHECK(count == published);
  }
  const auto model = registered("resnet50");
  std::set<std::string> names;
  for (const Parameter& parameter : model->parameters()) names.insert(parameter.name);
  CHECK(names.size() == 161);
  for (const char* name : {"conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight",
                           "layer1.0.bn3.bias", "layer1.0.downsample.0.weight",
                           "layer4.0.downsample.1.bias", "layer3.5.conv2.weight", "fc.bias"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
  CHECK_FALSE(names.contains("layer1.1.downsample.0.weight"));
  CHECK(model->buffers().size() == 2 * 53);
  CHECK(model->buffers()[1].name == "bn1.running_var");
}

ResNetOptions small_net(bool bottleneck, ResNetStem stem) {
  const std::int64_t wide = bottleneck ? 4 : 1;
  return {.input = {3, 32, 32, kClasses},
          .bottleneck = bottleneck,
          .stages = {{.depth = 2, .inner = 4, .out = 4 * wide},
                     {.depth = 2, .inner = 8, .out = 8 * wide, .stride = 2, .groups = 2}},
          .stem_width = 4,
          .stem = stem};
}

TEST_CASE("three training steps equal the same net in plain operators, bit for bit") {
  for (const bool bottleneck : {false, true}) {
    for (const ResNetStem stem : {ResNetStem::imagenet, ResNetStem::small}) {
      const ResNetOptions options = small_net(bottleneck, stem);
      const auto model = make_resnet(options, {.dtype = at::kDouble, .seed = 4});
      const tests::NamedTensors plain = tests::copy_tensors(*model);
      const Plan plan = full_plan(model->sites());
      KeyedMaskSource masks(0);
      Execution run(model->sites(), plan, masks);
      at::manual_seed(2);
      for (std::uint32_t step = 0; step < 3; ++step) {
        const at::Tensor images = at::randn({kBatch, 3, 32, 32}, at::dtype(at::kDouble));
        const at::Tensor labels = at::randint(kClasses, {kBatch}, at::dtype(at::kLong));
        run.begin_step({.step = step});
        const at::Tensor logits = model->forward(run, images);
        const at::Tensor expected = tests::plain_resnet(plain, options, images);
        CHECK(logits.equal(expected));
        torch::autograd::backward({at::cross_entropy_loss(logits, labels)});
        torch::autograd::backward({at::cross_entropy_loss(expected, labels)});
        const c10::NoGradGuard no_grad;
        for (const Parameter& parameter : model->parameters()) {
          const at::Tensor& twin = plain.at(parameter.name);
          CAPTURE(parameter.name);
          CHECK(parameter.value.grad().equal(twin.grad()));
          CHECK(twin.grad().abs().max().item<double>() > 0.0);
          for (const at::Tensor& tensor : {parameter.value, twin}) {
            tensor.sub_(tensor.grad(), 0.1);
            tensor.mutable_grad() = at::Tensor();
          }
        }
      }
      for (const Buffer& buffer : model->buffers()) {
        CAPTURE(buffer.name);
        CHECK(buffer.value.equal(plain.at(buffer.name)));
      }
    }
  }
}

TEST_CASE("an evaluated ResNet leaves its running statistics alone, and each image by itself") {
  const auto model = make_resnet(small_net(false, ResNetStem::small), {.seed = 4});
  const Plan plan = full_plan(model->sites());
  KeyedMaskSource masks(0);
  Execution run(model->sites(), plan, masks);
  const c10::NoGradGuard no_grad;
  const at::Tensor images = at::randn({kBatch, 3, 32, 32});
  const tests::NamedTensors before = tests::copy_tensors(*model);
  run.begin_step({.training = false});
  const at::Tensor together = model->forward(run, images);
  const at::Tensor alone = model->forward(run, images.slice(0, 0, 1));
  CHECK(together.slice(0, 0, 1).allclose(alone, 1e-4, 1e-5));
  for (const Buffer& buffer : model->buffers()) {
    CHECK(buffer.value.equal(before.at(buffer.name)));
  }
}

TEST_CASE("convolutions start with the deviation of their fan out, the head uniform") {
  const auto model = make_resnet(small_net(false, ResNetStem::small), {.seed = 1});
  for (const Parameter& parameter : model->parameters()) {
    const at::Tensor& value = parameter.value;
    CAPTURE(parameter.name);
    if (parameter.name == "layer1.0.conv1.weight" || parameter.name == "layer1.1.conv2.weight") {
      CHECK(value.std().item<double>() == doctest::Approx(std::sqrt(2.0 / (4 * 9))).epsilon(0.15));
    } else if (parameter.name == "fc.weight") {
      CHECK(value.abs().max().item<double>() <= 1.0 / std::sqrt(8.0));
      CHECK(value.abs().max().item<double>() > 0.8 / std::sqrt(8.0));
    }
  }
}

struct Net {
  std::string name;
  bool bottleneck;
  std::int64_t depths[4];
};

struct Setting {
  std::int64_t image, width, batch;
  bool small_stem;
};

std::int64_t floats(const Setting& setting, std::int64_t count) {
  return 4 * setting.batch * count;
}
std::int64_t half(std::int64_t side) {
  return (side + 1) / 2;
}

reports::ProfileReport measure(const Net& net, const Setting& setting, const std::string& device,
                               const std::string& strategy = "full",
                               const std::string& precision = "fp32") {
  ProfileOptions options;
  options.model =
      concat(net.name, ":image=", setting.image, ",channels=3,classes=10,width=", setting.width,
             ",stem=", setting.small_stem ? "small" : "imagenet");
  options.device = device;
  options.strategy = strategy;
  options.precision = precision;
  options.batch = setting.batch;
  options.threads = 1;
  options.warmup = 1;
  options.time_steps = 0;
  return run_profile(options);
}

// docs/accounting.md: x + 4F (basic) or x + 2W n + 2W m + 2F (bottleneck), and F more for a
// downsampled shortcut; two floats a channel and norm.
void check_blocks(const Net& net, const Setting& setting, const profiler::MemoryProfile& memory) {
  const std::int64_t w = setting.width;
  std::int64_t side = setting.small_stem ? setting.image : half(half(setting.image));
  std::int64_t channels = w;
  // The stem: batch norm's input and ReLU's output; the pool shares the latter, adds its indices.
  const std::int64_t first = setting.small_stem ? side : half(setting.image);
  std::int64_t total = floats(setting, 2 * w * first * first) + 8 * w;
  // Each storage once: what a block reads is the block's before it, or the stem's last result.
  if (!setting.small_stem) {
    const std::int64_t indices = 8 * setting.batch * w * side * side;
    CHECK(tests::layer(memory, "maxpool").saved.distinct_bytes ==
          floats(setting, w * first * first) + indices);
    total += indices + floats(setting, w * side * side);
  }
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t inner = w << stage, out = net.bottleneck ? 4 * inner : inner;
    for (std::int64_t block = 0; block < net.depths[stage]; ++block) {
      const std::int64_t input = channels * side * side, before = side * side;
      if (stage > 0 && block == 0) side = half(side);
      const std::int64_t after = side * side, result = out * after;
      const bool downsample = block == 0 && (stage > 0 || channels != out);
      std::int64_t own =
          net.bottleneck ? floats(setting, 2 * inner * before + 2 * inner * after + 2 * result) +
                               8 * (2 * inner + out)
                         : floats(setting, 4 * result) + 16 * out;
      if (downsample) own += floats(setting, result) + 8 * out;
      const std::string name = concat("layer", stage + 1, ".", block);
      CAPTURE(name);
      CHECK(tests::layer(memory, name).saved.distinct_bytes == floats(setting, input) + own);
      total += own;
      channels = out;
    }
  }
  total += floats(setting, channels);  // the head's input
  total += floats(setting, 10) + 4;    // the loss: log-softmax, and the sum of weights
  CHECK(memory.saved.distinct_bytes == total);
}

TEST_CASE("saved bytes of each residual block equal the closed formula, CPU and Meta alike") {
  const Net nets[] = {{"resnet18", false, {2, 2, 2, 2}}, {"resnet50", true, {3, 4, 6, 3}}};
  const Setting settings[] = {{.image = 32, .width = 8, .batch = 2, .small_stem = true},
                              {.image = 50, .width = 4, .batch = 3, .small_stem = false}};
  for (const Net& net : nets) {
    for (const Setting& setting : settings) {
      CAPTURE(net.name);
      CAPTURE(setting.image);
      const auto cpu = measure(net, setting, "cpu").memory;
      const auto meta = measure(net, setting, "meta").memory;
      check_blocks(net, setting, cpu);
      CHECK(cpu.saved == meta.saved);
      CHECK(cpu.ledger.balanced);
      CHECK(meta.ledger.balanced);
      for (const auto& row : cpu.layers) {
        CAPTURE(row.name);
        CHECK(row.saved == tests::layer(meta, row.name).saved);
      }
      const auto unknown = cpu.categories_at_peak[static_cast<int>(profiler::Category::unknown)];
      CHECK(100 * unknown < cpu.peak.bytes);
    }
  }
}

// Of the norms of a block: mean and inverse deviation, fp32.
std::int64_t statistics_bytes(const Net& net, std::int64_t width, int stage, std::int64_t block) {
  const std::int64_t inner = width << stage, out = net.bottleneck ? 4 * inner : inner;
  const bool downsample = block == 0 && (stage > 0 || net.bottleneck);
  return 8 * ((net.bottleneck ? 2 * inner : inner) + out + (downsample ? out : 0));
}

TEST_CASE("in 16 bit a residual block saves half of all but its norms' statistics") {
  const Net nets[] = {{"resnet18", false, {2, 2, 2, 2}}, {"resnet50", true, {3, 4, 6, 3}}};
  const Setting setting{.image = 32, .width = 8, .batch = 2, .small_stem = true};
  for (const Net& net : nets) {
    const auto whole = measure(net, setting, "meta").memory;
    const auto half = measure(net, setting, "meta", "full", "bf16").memory;
    const auto cpu = measure(net, setting, "cpu", "full", "bf16").memory;
    CHECK(half.saved == cpu.saved);
    for (int stage = 0; stage < 4; ++stage) {
      for (std::int64_t block = 0; block < net.depths[stage]; ++block) {
        const std::string name = concat("layer", stage + 1, ".", block);
        CAPTURE(name);
        const std::int64_t statistics = statistics_bytes(net, setting.width, stage, block);
        const std::int64_t bytes = tests::layer(whole, name).saved.distinct_bytes - statistics;
        CHECK(tests::layer(half, name).saved.distinct_bytes == bytes / 2 + statistics);
      }
    }
  }
}

using Forward = std::function<at::Tensor(const at::Tensor& images)>;

profiler::MemoryProfile trace(const Model& model, const tests::NamedTensors& tensors,
                              const at::Device& device, const Forward& forward) {
  const DeviceId id{device.is_meta() ? DeviceId::Kind::meta : DeviceId::Kind::cpu};
  const at::Tensor images = at::zeros({kBatch, 3, 32, 32}, at::dtype(at::kFloat).device(device));
  const at::Tensor labels = at::zeros({kBatch}, at::dtype(at::kLong).device(device));
  profiler::Tracer tracer({.device = id}, model.sites().layers());
  for (const Parameter& p : model.parameters()) {
    tracer.tag(p.value, profiler::Category::parameter, p.layer);
  }
  for (const Buffer& b : model.buffers()) tracer.tag(b.value, profiler::Category::buffer, b.layer);
  for (const auto& [name, tensor] : tensors) tracer.tag(tensor, profiler::Category::parameter);
  tracer.tag(images, profiler::Category::input);
  tracer.tag(labels, profiler::Category::input);
  tracer.enter(Phase::forward);
  const at::Tensor loss = at::cross_entropy_loss(forward(images), labels);
  tracer.enter(Phase::backward);
  torch::autograd::backward({loss});
  return profiler::analyse(tracer.stop());
}

TEST_CASE("we save what torchvision's in-place form saves") {
  for (const bool bottleneck : {false, true}) {
    for (const ResNetStem stem : {ResNetStem::imagenet, ResNetStem::small}) {
      const ResNetOptions options = small_net(bottleneck, stem);
      const auto model = make_resnet(options, {.seed = 4});
      const tests::NamedTensors plain = tests::copy_tensors(*model);
      const Plan plan = full_plan(model->sites());
      KeyedMaskSource masks(0);
      Execution run(model->sites(), plan, masks);
      run.begin_step({});
      const auto ours = trace(*model, {}, at::kCPU, [&](const at::Tensor& images) {
        return model->forward(run, images);
      });
      const auto theirs = trace(*model, plain, at::kCPU, [&](const at::Tensor& images) {
        return tests::plain_resnet(plain, options, images);
      });
      CHECK(ours.saved.distinct_bytes == theirs.saved.distinct_bytes);
      CHECK(ours.saved.logical_bytes == theirs.saved.logical_bytes);
      CHECK(ours.saved.count == theirs.saved.count);
    }
  }
}

TEST_CASE("a batch norm that drops pixels saves the kept ones, statistics and the index") {
  const ResNetOptions options = small_net(true, ResNetStem::imagenet);
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kMeta)}) {
    const auto model = make_resnet(options, {.device = device, .seed = 4});
    const SiteTable& sites = model->sites();
    PlanBuilder builder(sites);
    builder.begin({"kept", {}});
    const SiteId bn2 = sites.find("layer2.0.bn2"), bn3 = sites.find("layer2.0.bn3");
    REQUIRE(sites[bn2].kind == SiteKind::batch_norm);
    const RowGeometry geometry = sites[bn2].geometry;
    CHECK(geometry == RowGeometry{0, 4, 4});
    CHECK(sites[bn3].geometry == geometry);
    const std::int32_t group =
        builder.add_group({.name = "all", .keep_ratio = 0.5, .geometry = geometry});
    builder.select(bn2, {group});
    builder.select(bn3, {group});
    const Plan plan = std::move(builder).finish();
    KeyedMaskSource masks(0);
    Execution run(sites, plan, masks);
    run.begin_step({.device = device});
    const std::int64_t k = run.kept_rows().at(0);
    CHECK(k == 8);
    const auto memory = trace(
        *model, {}, device, [&](const at::Tensor& images) { return model->forward(run, images); });
    CHECK(memory.ledger.balanced);
    for (const auto& [name, channels] : {std::pair{"layer2.0.bn2", 8}, {"layer2.0.bn3", 32}}) {
      const auto& saved = tests::layer(memory, name).saved;
      CHECK(saved.distinct_bytes == 4 * kBatch * channels * k + 8 * channels + 8 * k);
      CHECK(saved.index_bytes == 8 * k);
    }
  }
}

// Gradients of all parameters after one backward, and the loss.
struct Gradients {
  double loss = 0.0;
  std::vector<at::Tensor> values;
};

Gradients gradients_of(Model& model, const std::string& strategy) {
  const Plan plan = resolve(strategy, model.sites(), strategies());
  KeyedMaskSource masks(3);
  Execution run(model.sites(), plan, masks);
  run.begin_step({});
  at::Generator random = at::detail::createCPUGenerator(7);
  const at::Tensor images = at::randn({kBatch, 3, 32, 32}, random, at::dtype(at::kFloat));
  const at::Tensor labels = at::zeros({kBatch}, at::dtype(at::kLong));
  const at::Tensor loss = at::cross_entropy_loss(model.forward(run, images), labels);
  torch::autograd::backward({loss});
  Gradients gradients{.loss = loss.item<double>(), .values = {}};
  for (const Parameter& parameter : model.parameters()) {
    gradients.values.push_back(parameter.value.grad().clone());
    parameter.value.mutable_grad().reset();
  }
  return gradients;
}

TEST_CASE("sbp of a ResNet: exact forward, other gradients below the dropped norms only") {
  const auto model = make_resnet(small_net(false, ResNetStem::imagenet), {.seed = 4});
  const Gradients full = gradients_of(*model, "full");
  const Gradients all_kept = gradients_of(*model, "sbp:keep=1,layers=all");
  const Gradients half = gradients_of(*model, "sbp:keep=0.5,layers=3");
  CHECK(half.loss == full.loss);
  for (std::size_t i = 0; i < full.values.size(); ++i) {
    const std::string& name = model->parameters()[i].name;
    CAPTURE(name);
    CHECK(all_kept.values[i].equal(full.values[i]));
    // The last block's branch and what lies before it; the head sees nothing of it.
    CHECK(half.values[i].equal(full.values[i]) == name.starts_with("fc."));
    CHECK(half.values[i].abs().max().item<double>() > 0.0);
  }
}

TEST_CASE("sbp of a ResNet saves kept pixels at each norm of a chosen branch, CPU and Meta alike") {
  const Net net{"resnet18", false, {2, 2, 2, 2}};
  const Setting setting{.image = 32, .width = 8, .batch = 2, .small_stem = true};
  const auto full = measure(net, setting, "cpu").memory;
  const auto half = measure(net, setting, "cpu", "sbp:keep=0.5,layers=all").memory;
  const auto meta = measure(net, setting, "meta", "sbp:keep=0.5,layers=all").memory;
  CHECK(half.ledger.balanced);
  CHECK(half.saved == meta.saved);
  std::int64_t less = 0;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t side = 32 >> stage, pixels = side * side;
    for (int block = 0; block < 2; ++block) {
      const std::string name = concat("layer", stage + 1, ".", block);
      CAPTURE(name);
      const auto& saved = tests::layer(half, name).saved;
      const std::int64_t dropped = floats(setting, 2 * (setting.width << stage) * (pixels / 2));
      // Both norms keep the same pixels: one index.
      CHECK(saved.index_bytes == 8 * (pixels / 2));
      CHECK(tests::layer(full, name).saved.distinct_bytes - saved.distinct_bytes ==
            dropped - saved.index_bytes);
      less += dropped;
    }
    less -= 8 * (pixels / 2);  // of the stage, once
  }
  CHECK(full.saved.distinct_bytes - half.saved.distinct_bytes == less);
}

}  // namespace
}  // namespace sbp::experiments
