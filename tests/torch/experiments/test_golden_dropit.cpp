// DropIT's layers and ViT against the released code's numbers: what is kept, outputs, gradients.
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/pad.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>

#include "dropit/kept_codec.h"
#include "experiments/codecs.h"
#include "experiments/models/vit.h"
#include "experiments/strategies.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "sbp/execution.h"
#include "tests/skip.h"
#include "tests/torch/experiments/golden.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

using tests::GoldenCase;
using tests::TensorMap;
using tests::WorstError;

std::string strategy_of(const GoldenCase& golden, const std::string& layers) {
  return concat("dropit:gamma=", exact_text(golden.options().at("gamma").get<double>()),
                ",layers=", layers, ",compat=released");
}

at::Tensor found(const TensorMap& tensors, const std::string& name, at::ScalarType dtype) {
  const auto place = tensors.find(name);
  return place == tensors.end() ? at::Tensor() : place->second.to(dtype).clone();
}

Convolution convolution_of(const nlohmann::json& o, const at::Tensor& w, const at::Tensor& b) {
  const bool circular = o.at("padding_mode") == "circular";
  return {.weight = w,
          .bias = b,
          .stride = o.at("stride"),
          .padding = o.at("padding"),
          .groups = o.at("groups"),
          .dilation = o.at("dilation"),
          .padding_mode = circular ? PaddingMode::circular : PaddingMode::zeros};
}

// A layer alone, as the model it is.
class Layer {
 public:
  explicit Layer(const GoldenCase& golden) : golden_(golden), o_(golden.options()) {
    const bool is_convolution = o_.at("layer") == "conv2d";
    sites_.add("layer", is_convolution ? SiteKind::conv2d : SiteKind::linear, 0);
    plan_ = resolve(strategy_of(golden, "all"), sites_, strategies());
  }

  const Spec& codec() const { return plan_[0].codes.begin()->second; }

  at::Tensor run(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    KeyedMaskSource masks(0);
    Execution run(sites_, plan_, masks, {.codecs = codecs_of(plan_)});
    run.begin_step({});
    if (o_.at("layer") == "conv2d") return run.conv2d(0, x, convolution_of(o_, weight, bias));
    return run.linear(0, x, o_.at("layer") == "linear" ? weight : weight.t(), bias);
  }

 private:
  const GoldenCase& golden_;
  const nlohmann::json& o_;
  SiteTable sites_;
  Plan plan_;
};

// The codec keeps the very elements of the released code, as int32 indices.
void check_kept(const Layer& layer, const TensorMap& tensors, const at::Tensor& x,
                const nlohmann::json& o) {
  const bool padded = o.contains("padding_mode") && o.at("padding_mode") != "zeros";
  const std::int64_t p = padded ? o.at("padding").get<std::int64_t>() : 0;
  const at::Tensor cached = p > 0 ? at::pad(x, {p, p, p, p}, "circular") : x;
  CHECK(cached.numel() == o.at("numel"));
  const Packed parts = dropit::make_codec(layer.codec())->encode(cached, {});
  REQUIRE(parts.size() == 2);
  CHECK((parts[1].tensor.scalar_type() == at::kInt));
  CHECK((parts[1].label == SaveLabel::index));
  CHECK(parts[0].tensor.numel() == o.at("kept"));
  const at::Tensor places = std::get<0>(tensors.at("keep_index").sort());
  CHECK(parts[1].tensor.to(at::kLong).equal(places));
  CHECK(parts[0].tensor.equal(cached.reshape({-1}).index_select(0, places)));
}

WorstError run_layer(const GoldenCase& golden) {
  const TensorMap tensors = golden.tensors();
  const at::ScalarType dtype = golden.type();
  const at::Tensor x = found(tensors, "input", dtype).requires_grad_(true);
  const at::Tensor weight = found(tensors, "param/weight", dtype).requires_grad_(true);
  at::Tensor bias = found(tensors, "param/bias", dtype);
  if (bias.defined()) bias.requires_grad_(true);
  Layer layer(golden);
  check_kept(layer, tensors, x.detach(), golden.options());
  const at::Tensor output = layer.run(x, weight, bias);
  const at::Tensor loss = output.mul(found(tensors, "grad_output", dtype)).sum();
  torch::autograd::backward({loss});
  WorstError errors;
  errors.add(tests::relative_error(output, tensors.at("output")), "output");
  errors.add(tests::relative_error(x.grad(), tensors.at("grad/input")), "grad/input");
  errors.add(tests::relative_error(weight.grad(), tensors.at("grad/weight")), "grad/weight");
  if (bias.defined()) {
    errors.add(tests::relative_error(bias.grad(), tensors.at("grad/bias")), "grad/bias");
  }
  return errors;
}

WorstError run_vit(const GoldenCase& golden, bool fused) {
  const TensorMap tensors = golden.tensors();
  const auto model = tests::golden_vit(golden, tensors, fused);
  const Plan plan = resolve(strategy_of(golden, "all"), model->sites(), strategies());
  KeyedMaskSource masks(0);
  Execution run(model->sites(), plan, masks, {.codecs = codecs_of(plan)});
  run.begin_step({});
  return tests::vit_step_errors(*model, run, tensors);
}

void check(const GoldenCase& golden, const WorstError& errors, WorstError& worst) {
  CAPTURE(golden.file());
  CAPTURE(errors.where);
  CHECK(errors.worst <= golden.tolerance());
  if (!golden.is_fp64()) worst.add(errors.worst, golden.file() + " " + errors.where);
}

TEST_CASE("golden DropIT cases" * doctest::test_suite("vectors")) {
  WorstError worst;
  int cases = 0;
  for (const GoldenCase& golden : tests::golden_cases()) {
    if (!golden.kind().starts_with("dropit_")) continue;
    tests::VectorCase one(golden.file());
    ++cases;
    if (golden.kind() == "dropit_layer") {
      check(golden, run_layer(golden), worst);
    } else if (golden.kind() == "dropit_vit") {
      check(golden, run_vit(golden, false), worst);
      check(golden, run_vit(golden, true), worst);
    } else {
      one.skip("kind '" + golden.kind() + "' is not supported");
    }
  }
  CHECK(cases > 0);
  std::printf("golden DropIT cases: worst fp32 relative error %.2g (%s)\n", worst.worst,
              worst.where.c_str());
}

}  // namespace
}  // namespace sbp::experiments
