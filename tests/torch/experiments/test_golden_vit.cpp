// ViT outputs, losses and every gradient against the released code's numbers.
#include <ATen/ops/cross_entropy_loss.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>

#include "experiments/models/vit.h"
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

// Why a case cannot be run; empty when it can.
std::string reason_to_skip(const GoldenCase& golden) {
  if (golden.kind() != "vit") return "kind '" + golden.kind() + "' is not supported";
  const auto& options = golden.options();
  if (options.at("strategy") == "none") return "";
  if (options.value("mhsa_option", "") != "query") {
    return "mhsa_option '" + options.value("mhsa_option", "") + "' is not supported";
  }
  return "";
}

std::string strategy_of(const nlohmann::json& options) {
  if (options.at("strategy") == "none") return "full";
  std::string layers;
  const auto& blocks = options.at("blocks_with_sbp");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i] == 1) layers += concat(layers.empty() ? "" : ";", i);
  }
  return concat("sbp:keep=", options.at("keep_ratio").get<double>(), ",proj=all,layers=[", layers,
                "],attention=", options.at("drop_attention") ? "query" : "none",
                ",mlp=", options.at("drop_mlp") ? "store" : "off");
}

// timm's name -> the vectors' name.
std::string vector_name(std::string name) {
  const std::pair<std::string, std::string> words[] = {
      {"norm1", "ln1"}, {"norm2", "ln2"}, {"patch_embed.proj", "patch_embed"}};
  for (const auto& [ours, theirs] : words) {
    if (const auto at = name.find(ours); at != std::string::npos) {
      return name.replace(at, ours.size(), theirs);
    }
  }
  return name.starts_with("norm.") ? "ln_final" + name.substr(4) : name;
}

WorstError run_case(const GoldenCase& golden, bool fused, const Precision& precision = {}) {
  const TensorMap tensors = golden.tensors();
  const auto& o = golden.options();
  const at::ScalarType dtype = golden.is_fp64() ? at::kDouble : at::kFloat;
  const auto model = make_vit({.image = o.at("image_size"),
                               .patch = o.at("patch_size"),
                               .dim = o.at("dim"),
                               .depth = o.at("depth"),
                               .heads = o.at("heads"),
                               .mlp_ratio = o.at("mlp_ratio"),
                               .classes = o.at("classes"),
                               .fused_attention = fused},
                              {.dtype = dtype});
  for (const Parameter& parameter : model->parameters()) {
    parameter.value.detach().copy_(tensors.at("param/" + vector_name(parameter.name)));
  }
  const Plan plan = resolve(strategy_of(o), model->sites(), strategies());
  ScriptedMasks masks(cells_of(tensors, "keep_patch_index"));
  Execution run(model->sites(), plan, masks, {.precision = precision});
  run.begin_step(0, true, at::kCPU);
  const at::Tensor input = tensors.at("input").to(dtype).clone().requires_grad_(true);
  const at::Tensor output = model->forward(run, input);
  const at::Tensor loss =
      at::cross_entropy_loss(precision.loss_input(output), tensors.at("target"));
  torch::autograd::backward({loss});

  WorstError errors;
  errors.add(tests::relative_error(output, tensors.at("output")), "output");
  errors.add(tests::relative_error(loss, tensors.at("loss")), "loss");
  errors.add(tests::relative_error(input.grad(), tensors.at("grad/input")), "grad/input");
  for (const Parameter& parameter : model->parameters()) {
    const std::string name = "grad/" + vector_name(parameter.name);
    errors.add(tests::relative_error(parameter.value.grad(), tensors.at(name)), name);
  }
  return errors;
}

TEST_CASE("golden ViT cases" * doctest::test_suite("vectors")) {
  WorstError worst;
  for (const GoldenCase& golden : tests::golden_cases()) {
    // These have tests of their own.
    if (golden.kind() == "convnext" || golden.kind().starts_with("dropit_")) continue;
    tests::VectorCase one(golden.file());
    if (const std::string reason = reason_to_skip(golden); !reason.empty()) {
      one.skip(reason);
      continue;
    }
    for (const bool fused : {false, true}) {
      const WorstError errors = run_case(golden, fused);
      CAPTURE(golden.file());
      CAPTURE(fused);
      CAPTURE(errors.where);
      CHECK(errors.worst <= golden.tolerance());
      if (!golden.is_fp64()) worst.add(errors.worst, golden.file() + " " + errors.where);
    }
  }
  std::printf("golden ViT cases: worst fp32 relative error %.2g (%s)\n", worst.worst,
              worst.where.c_str());
}

TEST_CASE("golden ViT cases in 16 bit, as near as its digits allow") {
  std::size_t cases = 0;
  for (const GoldenCase& golden : tests::golden_cases()) {
    if (golden.is_fp64() || !reason_to_skip(golden).empty()) continue;
    ++cases;
    for (const bool fused : {false, true}) {
      for (const auto& [low, tolerance] :
           {std::pair{at::kBFloat16, 0.08}, std::pair{at::kHalf, 0.01}}) {
        const WorstError errors = run_case(golden, fused, {.low = low});
        CAPTURE(golden.file());
        CAPTURE(fused);
        CAPTURE(c10::toString(low));
        CAPTURE(errors.where);
        CHECK(errors.worst > golden.tolerance());  // it is 16 bit indeed
        CHECK(errors.worst <= tolerance);
      }
    }
  }
  CHECK(cases > 0);
}

}  // namespace
}  // namespace sbp::experiments
