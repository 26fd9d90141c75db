// The seam holds what later strategies need: one ViT block under
// `sbp(query) + quant + nonlin + recompute`, to the byte against the closed formula, on CPU and on
// Meta. The two codecs below are this test's own.
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "experiments/models/vit.h"
#include "profiler/ledger.h"
#include "profiler/torch/tracer.h"
#include "sbp/execution.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp {
namespace {

constexpr std::int64_t kBatch = 2, kTokens = 65, kWidth = 48, kHeads = 3;

// Two codes a byte, with a minimum and a scale (fp32) a row. Nearest rounding.
class FourBits : public SavedCodec {
 public:
  Packed encode(const at::Tensor& value, const StreamKey&) const override {
    const at::Tensor rows = value.reshape({-1, value.size(-1)});
    const at::Tensor low = rows.amin(-1, true), high = rows.amax(-1, true);
    const at::Tensor scale = high.sub(low).clamp_min(1e-12).div(15.0);
    const at::Tensor codes = rows.sub(low).div(scale).round().to(at::kByte);
    const at::Tensor pairs = codes.unflatten(-1, {-1, 2});
    return {{pairs.select(-1, 0).mul(16).add(pairs.select(-1, 1)), SaveLabel::value},
            {low, SaveLabel::scale},
            {scale, SaveLabel::scale}};
  }
  at::Tensor decode(const std::vector<at::Tensor>& parts, const CodedTensor&) const override {
    const at::Tensor high = parts[0].div(16, "floor"), low = parts[0].remainder(16);
    return at::cat({high.unsqueeze(-1), low.unsqueeze(-1)}, -1)
        .flatten(-2)
        .to(at::kFloat)
        .mul(parts[2])
        .add(parts[1]);
  }
};

// Four levels of a GELU derivative in [-0.2, 1.2], four codes a byte.
class TwoBits : public SavedCodec {
 public:
  Packed encode(const at::Tensor& value, const StreamKey&) const override {
    const at::Tensor codes = value.add(0.2).div(1.4).mul(3.0).round().clamp(0, 3).to(at::kByte);
    const at::Tensor fours = codes.unflatten(-1, {-1, 4});
    at::Tensor packed = fours.select(-1, 0);
    for (int i = 1; i < 4; ++i) packed = packed.mul(4).add(fours.select(-1, i));
    return {{packed, SaveLabel::value}};
  }
  at::Tensor decode(const std::vector<at::Tensor>& parts, const CodedTensor&) const override {
    std::vector<at::Tensor> codes;
    for (const int divisor : {64, 16, 4, 1}) {
      codes.push_back(parts[0].div(divisor, "floor").remainder(4).unsqueeze(-1));
    }
    return at::cat(codes, -1).flatten(-2).to(at::kFloat).mul(1.4 / 3.0).sub(0.2);
  }
};

struct Options {
  bool drop = false, quantise = false, code_gelu = false, recompute = false;
  Precision precision = {};
};

Plan plan_of(const SiteTable& sites, const Options& options) {
  PlanBuilder builder(sites);
  builder.begin({"seam", {}});
  std::int32_t group = -1;
  for (SiteId id = 0; id < sites.size(); ++id) {
    const Site& site = sites[id];
    if (site.block < 0) continue;
    const bool rows = site.kind == SiteKind::attention || site.kind == SiteKind::positionwise ||
                      site.name.ends_with("attn.proj");
    if (options.drop && rows) {
      if (group < 0) {
        group = builder.add_group({.name = "all", .keep_ratio = 0.5, .geometry = site.geometry});
      }
      builder.select(id, {group});
    }
    if (options.quantise && site.kind == SiteKind::linear) {
      builder.code(id, SavedRole::linear_input, {"four_bits", {}});
    }
    if (options.code_gelu && site.kind == SiteKind::nonlinearity) {
      builder.code(id, SavedRole::nonlinearity_input, {"two_bits", {}});
    }
    if (options.recompute && site.kind == SiteKind::positionwise) {
      builder.materialise(id, Materialise::recompute);
    }
  }
  return std::move(builder).finish();
}

struct Result {
  profiler::SavedBytes block;
  at::Tensor logits;
  std::vector<at::Tensor> gradients;
  bool balanced = false;
};

Result run_block(const Options& options, at::Device device) {
  const auto model = experiments::make_vit(
      {.image = 32, .patch = 4, .dim = kWidth, .depth = 1, .heads = kHeads, .classes = 10},
      {.device = device, .seed = 2});
  const Plan plan = plan_of(model->sites(), options);
  KeyedMaskSource masks(4);
  Execution run(model->sites(), plan, masks,
                {.codecs = {{"four_bits", std::make_shared<FourBits>()},
                            {"two_bits", std::make_shared<TwoBits>()}},
                 .precision = options.precision});
  const DeviceId id{device.is_meta() ? DeviceId::Kind::meta : DeviceId::Kind::cpu};
  const at::Tensor images = at::empty({kBatch, 3, 32, 32}, at::dtype(at::kFloat).device(device));
  const at::Tensor labels = at::zeros({kBatch}, at::dtype(at::kLong).device(device));
  if (!device.is_meta()) images.copy_(at::linspace(-1, 1, images.numel()).reshape(images.sizes()));

  profiler::Tracer tracer({.device = id}, model->sites().layers());
  for (const auto& parameter : model->parameters()) {
    tracer.tag(parameter.value, profiler::Category::parameter, parameter.layer);
  }
  tracer.tag(images, profiler::Category::input);
  tracer.tag(labels, profiler::Category::input);
  run.begin_step({.device = device});
  tracer.enter(Phase::forward);
  Result result;
  result.logits = model->forward(run, images);
  const at::Tensor loss = at::cross_entropy_loss(result.logits, labels);
  tracer.enter(Phase::backward);
  torch::autograd::backward({loss});
  const profiler::MemoryProfile memory = profiler::analyse(tracer.stop());
  result.balanced = memory.ledger.balanced;
  const auto row = std::ranges::find(memory.layers, "blocks.0", &profiler::LayerMemory::name);
  REQUIRE(row != memory.layers.end());
  result.block = row->saved;
  for (const auto& parameter : model->parameters()) {
    result.gradients.push_back(parameter.value.grad());
  }
  return result;
}

// Bytes of one linear input of `rows` rows and `width` columns, coded: 4 bits, two floats a row.
constexpr std::int64_t coded(std::int64_t rows, std::int64_t width) {
  return kBatch * (rows * width / 2 + 8 * rows);
}
constexpr std::int64_t floats(std::int64_t count) {
  return 4 * kBatch * count;
}

TEST_CASE("keep, quant, nonlin and recompute compose to the byte") {
  const std::int64_t k = 33, n = kTokens, d = kWidth;  // half of 64 cells and the class token
  const std::int64_t index = 8 * k;
  // LN1 in, q (kept), k, v, the map of kept rows, LN1 statistics; qkv and proj inputs coded.
  const std::int64_t attention =
      floats(n * d + k * d + 2 * n * d + kHeads * k * n + 2 * n) + coded(n, d) + coded(k, d);
  // LN2 in and statistics, fc1 and fc2 inputs coded, the GELU derivative in 2 bits.
  const std::int64_t mlp =
      floats(k * d + 2 * k) + coded(k, d) + coded(k, 4 * d) + kBatch * k * 4 * d / 4;
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kMeta)}) {
    const Result stored = run_block({.drop = true, .quantise = true, .code_gelu = true}, device);
    CHECK(stored.balanced);
    CHECK(stored.block.distinct_bytes == attention + mlp + index);
    CHECK(stored.block.index_bytes == index + 8 * kBatch * (n + 3 * k));  // scales of 4 linears
    const Result again =
        run_block({.drop = true, .quantise = true, .code_gelu = true, .recompute = true}, device);
    CHECK(again.balanced);
    CHECK(again.block.distinct_bytes == attention + floats(k * d) + index);
  }
}

TEST_CASE("recompute changes no bit, codes change weight gradients only, in fp32 and 16 bit") {
  for (const Precision precision : {Precision{}, Precision{.low = at::kBFloat16}}) {
    CAPTURE(c10::toString(precision.low));
    for (const bool drop : {false, true}) {
      CAPTURE(drop);
      const Result full = run_block({.drop = drop, .precision = precision}, at::kCPU);
      const Result again =
          run_block({.drop = drop, .recompute = true, .precision = precision}, at::kCPU);
      const Result coded_run =
          run_block({.drop = drop, .quantise = true, .precision = precision}, at::kCPU);
      CHECK((full.logits.scalar_type() == precision.low));
      CHECK(again.logits.equal(full.logits));
      CHECK(coded_run.logits.equal(full.logits));
      REQUIRE(full.gradients.size() == again.gradients.size());
      std::size_t changed = 0;
      for (std::size_t i = 0; i < full.gradients.size(); ++i) {
        CHECK(again.gradients[i].equal(full.gradients[i]));
        if (!coded_run.gradients[i].allclose(full.gradients[i], 1e-4, 1e-7)) ++changed;
      }
      CHECK(changed == 4);  // qkv, proj, fc1, fc2
    }
  }
}

TEST_CASE("two claims on one site and column name both claimants") {
  SiteTable sites;
  const SiteId site = sites.add("blocks.0.mlp", SiteKind::positionwise, 0, {0, 2, 2});
  PlanBuilder builder(sites);
  builder.begin({"one", {}});
  builder.materialise(site, Materialise::recompute);
  builder.begin({"two", {}});
  CHECK_THROWS_WITH(builder.materialise(site, Materialise::recompute),
                    "strategies 'one' and 'two' both claim the materialise of site "
                    "'blocks.0.mlp'; give them different layers or leave one out");
}

}  // namespace
}  // namespace sbp
