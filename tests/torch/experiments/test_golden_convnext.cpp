// ConvNeXt stage outputs, logits, losses and every gradient against the released code's numbers.
#include <ATen/ops/cross_entropy_loss.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>

#include "experiments/models/convnext.h"
#include "experiments/strategies.h"
#include "sbp/base/error.h"
#include "sbp/execution.h"
#include "tests/skip.h"
#include "tests/torch/experiments/golden.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

using tests::cells_of;
using tests::GoldenCase;
using tests::ScriptedMasks;
using tests::TensorMap;
using tests::WorstError;

std::string strategy_of(const nlohmann::json& options) {
  if (options.at("strategy") == "none") return "full";
  std::string layers;
  int index = 0;
  for (const auto& stage : options.at("blocks_with_sbp")) {
    for (const auto& block : stage) {
      if (block == 1) layers += concat(layers.empty() ? "" : ";", index);
      ++index;
    }
  }
  return concat("sbp:keep=", options.at("keep_ratio").get<double>(), ",layers=[", layers,
                "],downsample=", options.at("downsample_sbp") ? "kept" : "all");
}

// timm's name -> the vectors' name. Plain cases call a downsampling's linear `conv`.
std::string vector_name(std::string name, bool is_plain) {
  const std::pair<std::string, std::string> words[] = {
      {"stem.0.", "stem.conv."},
      {"stem.1.", "stem.ln."},
      {"conv_dw", "dwconv"},
      {"mlp.fc", "fc"},
      {"norm", "ln"},
      {"gamma", "layer_scale"},
      {"head.ln.", "ln_final."},
      {"head.fc.", "head."},
      {".downsample.0.", ".ln."},
      {".downsample.1.", is_plain ? ".conv." : ".linear."}};
  const bool is_down = name.find("downsample") != std::string::npos;
  for (const auto& [ours, theirs] : words) {
    if (const auto at = name.find(ours); at != std::string::npos) {
      name.replace(at, ours.size(), theirs);
    }
  }
  if (is_down) name.replace(0, std::string("stages").size(), "down");
  return name;
}

// A tensor of the case in the form that the model has it in.
at::Tensor as_ours(const at::Tensor& tensor, const Parameter& parameter) {
  const bool is_convolution = tensor.dim() == 4 && parameter.value.dim() == 2;
  return is_convolution ? downsample_weight_from_convolution(tensor) : tensor;
}

ConvnextOptions options_of(const nlohmann::json& options) {
  ConvnextOptions model;
  model.image = options.at("image_size")[0];
  model.depths = options.at("depths").get<std::vector<std::int64_t>>();
  model.dims = options.at("dims").get<std::vector<std::int64_t>>();
  model.classes = options.at("classes");
  return model;
}

WorstError run_case(const GoldenCase& golden) {
  const TensorMap tensors = golden.tensors();
  const bool is_plain = golden.options().at("strategy") == "none";
  const auto model = make_convnext(options_of(golden.options()), {.dtype = golden.type()});
  for (const Parameter& parameter : model->parameters()) {
    const at::Tensor& value = tensors.at("param/" + vector_name(parameter.name, is_plain));
    parameter.value.detach().copy_(as_ours(value, parameter));
  }
  const Plan plan = resolve(strategy_of(golden.options()), model->sites(), strategies());
  ScriptedMasks masks(cells_of(tensors, "keep_index/base"));
  Execution run(model->sites(), plan, masks);
  run.begin_step({});
  for (int stage = 0; stage < 4; ++stage) {
    const std::string name = concat("keep_index/stage", stage);
    if (!tensors.contains(name)) continue;
    const std::int64_t factor =
        (golden.options().at("image_size")[0].get<std::int64_t>() >> (2 + stage)) /
        masks.geometry.height;
    CHECK(replicate(cells_of(tensors, "keep_index/base"), masks.geometry, factor) ==
          cells_of(tensors, name));
  }
  WorstError errors = tests::step_errors(*model, run, tensors, [&](const Parameter& parameter) {
    return as_ours(tensors.at("grad/" + vector_name(parameter.name, is_plain)), parameter);
  });
  const auto stages = convnext_stages(*model, run, tensors.at("input").to(golden.type()));
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const std::string name = concat("stage_output/", i);
    if (!tensors.contains(name)) continue;
    errors.add(tests::relative_error(stages[i], tensors.at(name)), name);
  }
  return errors;
}

TEST_CASE("golden ConvNeXt cases" * doctest::test_suite("vectors")) {
  WorstError worst;
  for (const GoldenCase& golden : tests::golden_cases()) {
    if (golden.kind() != "convnext") continue;  // counted by the test of its own kind
    tests::VectorCase one(golden.file());
    const WorstError errors = run_case(golden);
    CAPTURE(golden.file());
    CAPTURE(errors.where);
    CHECK(errors.worst <= golden.tolerance());
    if (!golden.is_fp64()) worst.add(errors.worst, golden.file() + " " + errors.where);
  }
  std::printf("golden ConvNeXt cases: worst fp32 relative error %.2g (%s)\n", worst.worst,
              worst.where.c_str());
}

}  // namespace
}  // namespace sbp::experiments
