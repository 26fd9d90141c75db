// DropIT on whole models: what each layer stores against the closed formula, on CPU and on Meta;
// what must stay exact; and that a step can be repeated.
#include <ATen/Parallel.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include "dropit/code_size.h"
#include "experiments/codecs.h"
#include "experiments/models/registry.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/profile_run.h"
#include "experiments/runs/train_run.h"
#include "experiments/strategies.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

using dropit::IndexForm;

constexpr const char* kVit = "vit:image=32,patch=4,dim=48,depth=2,heads=3,classes=10";
constexpr const char* kConvnext = "convnext:image=32,depths=[1;2],dims=[8;16],classes=10";
constexpr const char* kResnet = "resnet18:image=32,width=8,stem=small,classes=10";
constexpr std::int64_t kBatch = 2;

reports::ProfileReport measure(const std::string& model, const std::string& strategy,
                               const std::string& device, const std::string& precision = "fp32") {
  ProfileOptions options;
  options.model = model;
  options.strategy = strategy;
  options.device = device;
  options.precision = precision;
  options.batch = kBatch;
  options.threads = 1;
  options.time_steps = 0;
  return run_profile(options);
}

// Bytes of a packed input of n elements of `width` bytes.
std::int64_t packed(std::int64_t n, double gamma, IndexForm form, std::int64_t width) {
  const std::int64_t kept = dropit::kept_count(n, gamma, false);
  return width * kept + dropit::index_bytes(form, n, kept);
}

struct Form {
  std::string strategy;
  double gamma;
  IndexForm index;
};
const Form kForms[] = {
    {"dropit", 0.9, IndexForm::block},
    {"dropit:gamma=0.5", 0.5, IndexForm::mask},
    {"dropit:gamma=0.75,index=int32", 0.75, IndexForm::int32},
    {"dropit:gamma=0.75,index=int64", 0.75, IndexForm::int64},
    {"dropit:select=random,gamma=0.75", 0.75, IndexForm::seed},
};

std::int64_t distinct(const reports::ProfileReport& report, const std::string& layer) {
  return tests::layer(report.memory, layer).saved.distinct_bytes;
}

TEST_CASE("a ViT's linears store their code to the byte, in fp32 and bf16, on CPU and Meta") {
  constexpr std::int64_t kInput = kBatch * 65 * 48;
  for (const std::string precision : {"fp32", "bf16"}) {
    const std::int64_t width = precision == "fp32" ? 4 : 2;
    const auto full = measure(kVit, "full", "meta", precision);
    for (const Form& form : kForms) {
      const std::int64_t small = packed(kInput, form.gamma, form.index, width);
      const std::int64_t large = packed(4 * kInput, form.gamma, form.index, width);
      for (const std::string device : {"cpu", "meta"}) {
        const auto report = measure(kVit, form.strategy, device, precision);
        CAPTURE(form.strategy);
        CAPTURE(device);
        CAPTURE(precision);
        CHECK(report.memory.ledger.balanced);
        for (const std::string block : {"blocks.0", "blocks.1"}) {
          for (const std::string name : {".attn.qkv", ".attn.proj", ".mlp.fc1"}) {
            CHECK(distinct(report, block + name) == small);
          }
          CHECK(distinct(report, block + ".mlp.fc2") == large);
          // Seven inputs go, their codes come.
          CHECK(distinct(report, block) ==
                distinct(full, block) - 7 * width * kInput + 3 * small + large);
        }
        CHECK(report.memory.saved.index_bytes ==
              2 * (3 * dropit::index_bytes(form.index, kInput,
                                           dropit::kept_count(kInput, form.gamma, false)) +
                   dropit::index_bytes(form.index, 4 * kInput,
                                       dropit::kept_count(4 * kInput, form.gamma, false))));
      }
    }
  }
}

TEST_CASE("a ConvNeXt's convolutions and linears store their code to the byte") {
  const auto full = measure(kConvnext, "full", "meta");
  // Two stages of 8x8 pixels of 8 channels and 4x4 of 16.
  const std::pair<std::string, std::int64_t> blocks[] = {
      {"stages.0.blocks.0", kBatch * 64 * 8},
      {"stages.1.blocks.0", kBatch * 16 * 16},
      {"stages.1.blocks.1", kBatch * 16 * 16},
  };
  for (const Form& form : kForms) {
    for (const std::string device : {"cpu", "meta"}) {
      const auto report = measure(kConvnext, form.strategy, device);
      CAPTURE(form.strategy);
      CAPTURE(device);
      for (const auto& [block, input] : blocks) {
        const std::int64_t small = packed(input, form.gamma, form.index, 4);
        const std::int64_t large = packed(4 * input, form.gamma, form.index, 4);
        CHECK(distinct(report, block + ".conv_dw") == small);
        CHECK(distinct(report, block + ".mlp.fc1") == small);
        CHECK(distinct(report, block + ".mlp.fc2") == large);
        CHECK(distinct(report, block) == distinct(full, block) - 6 * 4 * input + 2 * small + large);
      }
      CHECK(distinct(report, "stages.1.downsample.1") ==
            packed(kBatch * 16 * 32, form.gamma, form.index, 4));
      CHECK(distinct(report, "stem.0") == distinct(full, "stem.0"));
    }
  }
}

// Floats of a ResNet of width 8 on 32x32 pixels that come out of each ReLU: a stem, then two a
// block.
std::vector<std::int64_t> relu_results() {
  std::vector<std::int64_t> floats{kBatch * 8 * 32 * 32};
  for (int stage = 0; stage < 4; ++stage) {
    floats.insert(floats.end(), 4, (kBatch * 8 * 32 * 32) >> stage);
  }
  return floats;
}

TEST_CASE("a ResNet's ReLUs keep a bit an element, convolutions their code, shared by shortcuts") {
  const auto full = measure(kResnet, "full", "meta");
  const std::vector<std::int64_t> floats = relu_results();
  for (const Form& form : kForms) {
    for (const std::string device : {"cpu", "meta"}) {
      const auto report = measure(kResnet, form.strategy, device);
      CAPTURE(form.strategy);
      CAPTURE(device);
      // All results but the last are a convolution's input; three feed a shortcut's as well.
      std::int64_t expected = full.memory.saved.distinct_bytes;
      for (std::size_t i = 0; i + 1 < floats.size(); ++i) {
        expected += packed(floats[i], form.gamma, form.index, 4) + (floats[i] + 7) / 8;
        expected -= 4 * floats[i];
      }
      CHECK(report.memory.saved.distinct_bytes == expected);
      CHECK(distinct(report, "layer2.0.conv1") == distinct(report, "layer2.0.downsample.0"));
      const auto& shared = tests::layer(report.memory, "layer2.0.downsample.0").saved;
      CHECK(shared.marginal_bytes == 0);
      CHECK(shared.distinct_bytes == packed(floats[4], form.gamma, form.index, 4));
      CHECK(distinct(report, "act1") == (floats[0] + 7) / 8);
      CHECK(distinct(report, "layer4.1.act2") == 4 * floats.back());
    }
  }
}

TEST_CASE("every layer saves the same on CPU and on Meta, under sbp too") {
  for (const std::string model : {kVit, kConvnext, kResnet}) {
    for (const std::string strategy :
         {"dropit", "dropit:compat=released,gamma=0.5", "sbp:keep=0.5,layers=all+dropit"}) {
      const auto cpu = measure(model, strategy, "cpu").memory;
      const auto meta = measure(model, strategy, "meta").memory;
      CAPTURE(model);
      CAPTURE(strategy);
      CHECK(cpu.saved == meta.saved);
      for (const auto& row : cpu.layers) {
        CAPTURE(row.name);
        CHECK(row.saved == tests::layer(meta, row.name).saved);
      }
    }
  }
}

TEST_CASE("codes see kept rows only") {
  const auto report = measure(kVit, "sbp:keep=0.5,layers=all+dropit", "cpu");
  constexpr std::int64_t kKept = kBatch * 33 * 48;
  CHECK(distinct(report, "blocks.1.mlp.fc1") == packed(kKept, 0.9, IndexForm::block, 4));
  CHECK(distinct(report, "blocks.1.mlp.fc2") == packed(4 * kKept, 0.9, IndexForm::block, 4));
  CHECK(distinct(report, "blocks.1.attn.proj") == packed(kKept, 0.9, IndexForm::block, 4));
  CHECK(distinct(report, "blocks.1.attn.qkv") ==
        packed(kBatch * 65 * 48, 0.9, IndexForm::block, 4));
}

struct Pass {
  at::Tensor logits;
  at::Tensor dx;
  std::map<std::string, at::Tensor> gradients;
};

Pass run_pass(const std::string& model_text, const std::string& strategy, std::uint32_t step = 0) {
  const Spec spec = fit_to_data(parse_spec(model_text, "model", model_schemas()), {3, 32, 32, 10});
  const auto model = build_model(spec, {.seed = 3});
  const Plan plan = resolve(strategy, model->sites(), strategies());
  KeyedMaskSource masks(9);
  Execution run(model->sites(), plan, masks, {.codecs = codecs_of(plan)});
  run.begin_step({.step = step, .seed = 12});
  at::manual_seed(1);
  const at::Tensor images = at::randn({4, 3, 32, 32}).requires_grad_(true);
  const at::Tensor labels = at::randint(10, {4}, at::dtype(at::kLong));
  Pass pass{model->forward(run, images), {}, {}};
  torch::autograd::backward({at::cross_entropy_loss(pass.logits, labels)});
  pass.dx = images.grad();
  for (const Parameter& parameter : model->parameters()) {
    pass.gradients[parameter.name] = parameter.value.grad();
  }
  return pass;
}

bool is_coded(const std::string& parameter, const Plan& plan, const SiteTable& sites) {
  const std::string suffix = ".weight";
  if (!parameter.ends_with(suffix)) return false;
  const SiteId site = sites.find(parameter.substr(0, parameter.size() - suffix.size()));
  return site >= 0 && !plan[site].codes.empty();
}

TEST_CASE("value, input gradient and all but coded weights' gradients are full's, bit for bit") {
  for (const std::string text : {kVit, kConvnext, kResnet}) {
    const Pass full = run_pass(text, "full");
    const Spec spec = fit_to_data(parse_spec(text, "model", model_schemas()), {3, 32, 32, 10});
    const auto model = build_model(spec, {.device = at::kMeta});
    for (const std::string strategy :
         {"dropit", "dropit:scope=sample,gamma=0.7", "dropit:scope=row,gamma=0.7,layers=0.5",
          "dropit:select=random,unbiased=yes", "dropit:select=nsigma", "dropit:select=chunk",
          "dropit:compat=released"}) {
      const Plan plan = resolve(strategy, model->sites(), strategies());
      const Pass coded = run_pass(text, strategy);
      CAPTURE(text);
      CAPTURE(strategy);
      CHECK(coded.logits.equal(full.logits));
      CHECK(coded.dx.equal(full.dx));
      int changed = 0;
      for (const auto& [name, gradient] : full.gradients) {
        CAPTURE(name);
        const bool equal = coded.gradients.at(name).equal(gradient);
        if (is_coded(name, plan, model->sites())) {
          changed += equal ? 0 : 1;
        } else {
          CHECK(equal);
        }
      }
      CHECK(changed > 3);
    }
  }
}

TEST_CASE("gamma 0 is the full backward, bit for bit and byte for byte") {
  for (const std::string text : {kVit, kResnet}) {
    const Pass full = run_pass(text, "full");
    const Pass none = run_pass(text, "dropit:gamma=0,layers=*");
    CHECK(none.logits.equal(full.logits));
    for (const auto& [name, gradient] : full.gradients) {
      CHECK(none.gradients.at(name).equal(gradient));
    }
    const auto profile = measure(text, "full", "cpu"),
               same = measure(text, "dropit:gamma=0", "cpu");
    CHECK(same.memory.saved == profile.memory.saved);
    CHECK(same.memory.peak.bytes == profile.memory.peak.bytes);
    CHECK(same.loss == profile.loss);
  }
}

TEST_CASE("a step repeated gives the same gradients, with any number of threads") {
  const int before = at::get_num_threads();
  for (const std::string strategy : {"dropit", "dropit:select=random"}) {
    at::set_num_threads(1);
    const Pass one = run_pass(kVit, strategy, 7);
    const Pass again = run_pass(kVit, strategy, 7);
    const Pass later = run_pass(kVit, strategy, 8);
    for (const auto& [name, gradient] : one.gradients) {
      CHECK(again.gradients.at(name).equal(gradient));
    }
    const std::string weight = "blocks.0.mlp.fc1.weight";
    CHECK(later.gradients.at(weight).equal(one.gradients.at(weight)) == (strategy == "dropit"));
  }
  at::set_num_threads(before);
}

TEST_CASE("the report names codec, held inputs and codes that save nothing") {
  const auto plan_code = [](const reports::ProfileReport& report, const std::string& site) {
    for (const reports::PlanEntry& entry : report.plan) {
      if (entry.site == site) return entry.code;
    }
    return std::string();
  };
  const auto report =
      measure(concat(kVit, ",attention=fused"), "dropit:gamma=0.5,index=int32", "meta");
  CHECK(plan_code(report, "blocks.0.attn.qkv") ==
        "linear_input=mink:gamma=0.5,scope=tensor,index=int32");
  CHECK(plan_code(report, "blocks.0.attn.proj") == "saved 0: still held by blocks.0.attn");
  REQUIRE(report.header.warnings.size() >= 2);
  CHECK(report.header.warnings[0].find("held in full all the same") != std::string::npos);
  CHECK(report.header.warnings[1].find("it stores 2 bytes of values and 2 of int32 index") !=
        std::string::npos);
  const auto low = measure(kVit, "dropit:gamma=0.6,index=int32", "meta", "bf16");
  CHECK(low.header.warnings.at(0).find("of 2; use a larger gamma") != std::string::npos);
}

TEST_CASE("a layer of which nothing is kept is an error, or as released a warning") {
  // A head of 4 inputs and one image a batch: round(0.4) = 0 elements.
  ProfileOptions options;
  options.model = "vit:image=8,patch=8,dim=4,depth=1,heads=1,mlp_ratio=1,classes=2";
  options.strategy = "dropit:layers=head";
  options.batch = 1;
  options.threads = 1;
  options.time_steps = 0;
  CHECK_THROWS_WITH_AS(run_profile(options),
                       "coding what 'head' saves: gamma=0.9 keeps none of the 4 elements that "
                       "compete in a tensor [1, 4]; use a smaller gamma, or exclude the layer",
                       Error);
  options.strategy = "dropit:layers=[head;*.fc1],compat=released";
  const auto report = run_profile(options);
  CHECK(report.header.warnings.front().find("nothing is kept of the input of ") !=
        std::string::npos);
  CHECK(report.header.warnings.front().find("head") != std::string::npos);
}

TEST_CASE("training under dropit repeats itself, and differs from full") {
  const auto losses = [](const std::string& strategy) {
    TrainOptions options;
    options.model = "vit:patch=8,dim=16,depth=2,heads=2,image=16,classes=4";
    options.data = "synthetic:samples=64";
    options.strategy = strategy;
    options.batch = 8;
    options.steps = 8;
    options.seed = 1;
    options.threads = 1;
    return run_train(options).step_losses;
  };
  const auto full = losses("full");
  CHECK(losses("dropit:gamma=0") == full);
  for (const std::string strategy : {"dropit", "dropit:select=random", "sbp+dropit:gamma=0.5"}) {
    const auto dropped = losses(strategy);
    CHECK(dropped == losses(strategy));
    CHECK(dropped != full);
    CHECK(dropped.front() == full.front());  // the forward is exact
  }
}

TEST_CASE("a resumed run draws what it would have drawn") {
  const tests::ScratchFolder scratch;
  TrainOptions options;
  options.model = "vit:patch=8,dim=16,depth=2,heads=2,image=16,classes=4";
  options.data = "synthetic:samples=64";
  options.strategy = "dropit:select=random,unbiased=yes";
  options.schedule = "constant";
  options.batch = 8;
  options.steps = 9;
  options.threads = 1;
  options.profile_step = false;
  const std::string whole = run_train(options).weights_checksum;
  options.steps = 5;
  options.checkpoint.folder = scratch.path("checkpoint");
  CHECK(run_train(options).weights_checksum != whole);
  options.steps = 9;
  options.checkpoint.resume = true;
  CHECK(run_train(options).weights_checksum == whole);
}

}  // namespace
}  // namespace sbp::experiments
