// Saved bytes under mixed precision against closed formulas, on CPU and on Meta.
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>

#include "experiments/models/registry.h"
#include "experiments/runs/profile_run.h"
#include "profiler/ledger.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/error.h"
#include "sbp/execution.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::tests {
namespace {

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t n = kTokens, d = kWidth, h = kHeads;

// Bytes of a sample. Statistics of a layer norm: two floats a row.
std::int64_t full_block(bool fused, bool cuda_list) {
  const std::int64_t attention = fused ? 4 * h * n : (cuda_list ? 6 : 2) * h * n * n;
  return 36 * n * d + attention + 2 * 8 * n;
}

// With the MLP as one node, which computes its second linear's input again.
std::int64_t sbp_block(bool fused, bool cuda_list, bool project_kept, std::int64_t k) {
  const std::int64_t attention = fused ? 4 * h * k : (cuda_list ? 6 : 2) * h * k * n;
  // Fused attention keeps its output beside the projection's input.
  const std::int64_t of_all = project_kept ? 10 : 12;
  const std::int64_t of_kept = (project_kept || fused ? 26 : 24) - 8;
  return of_all * n * d + of_kept * k * d + attention + 8 * n + 8 * k;
}

std::int64_t kept_of(const reports::ProfileReport& report) {
  for (const reports::PlanEntry& entry : report.plan) {
    if (entry.keep_ratio) return entry.kept_rows;
  }
  return kTokens;
}

TEST_CASE("the list of PyTorch 1.9 has GELU in fp32, whatever the MLP is kept as") {
  const auto saved_of = [](const std::string& strategy, const std::string& precision,
                           const std::string& device) {
    return measure(
               {.strategy = strategy, .device = device, .batch = kBatch, .precision = precision})
        .memory;
  };
  const auto now = saved_of("full", "fp16", "meta"),
             then = saved_of("full", "fp16:list=cuda1.9", "meta");
  for (std::int64_t block = 0; block < kDepth; ++block) {
    const std::string name = concat("blocks.", block);
    CHECK(layer(then, name).saved.distinct_bytes - layer(now, name).saved.distinct_bytes ==
          kBatch * 8 * kTokens * kWidth);
    CHECK(layer(then, name + ".mlp.fc2").saved == layer(now, name + ".mlp.fc2").saved);
  }
  CHECK(saved_of("full", "fp16:list=cuda1.9", "cpu").saved == then.saved);
  // As one node it computes GELU again, from the 16-bit input.
  const std::string one_node = "sbp:keep=0.5,mlp=function,layers=all";
  CHECK(saved_of(one_node, "fp16:list=cuda1.9", "cpu").saved ==
        saved_of(one_node, "fp16", "meta").saved);
}

TEST_CASE("16-bit ViT blocks hold what the formulas say, CPU and Meta, each layer alike") {
  for (const std::string precision : {"bf16", "fp16", "bf16:list=cpu"}) {
    const bool cuda_list = precision.find("cpu") == std::string::npos;
    for (const bool fused : {false, true}) {
      for (const std::string strategy : {"full", "sbp:keep=0.5", "sbp:keep=0.25,proj=all"}) {
        if (precision != "bf16" && strategy.find("proj") != std::string::npos) continue;
        CAPTURE(precision);
        CAPTURE(fused);
        CAPTURE(strategy);
        MeasuredOptions options{.strategy = strategy,
                                .attention = fused ? "fused" : "eager",
                                .batch = kBatch,
                                .precision = precision};
        const auto cpu = measure(options);
        options.device = "meta";
        const auto meta = measure(options);
        CHECK(cpu.memory.ledger.balanced);
        CHECK(meta.memory.ledger.balanced);
        const std::int64_t k = kept_of(cpu);
        const bool all = strategy.find("proj=all") != std::string::npos;
        for (std::int64_t block = 0; block < kDepth; ++block) {
          CAPTURE(block);
          const bool drops = strategy != "full" && block >= 2;  // the last 3 of 5
          const std::int64_t expected = drops
                                            ? kBatch * sbp_block(fused, cuda_list, !all, k) + 8 * k
                                            : kBatch * full_block(fused, cuda_list);
          CHECK(layer(cpu.memory, concat("blocks.", block)).saved.distinct_bytes == expected);
        }
        CHECK(cpu.memory.saved == meta.memory.saved);
        for (const auto& row : cpu.memory.layers) {
          if (row.saved == profiler::SavedBytes{}) continue;  // there for what it owns at the peak
          CAPTURE(row.name);
          CHECK(row.saved == layer(meta.memory, row.name).saved);
        }
      }
    }
  }
}

std::int64_t copies_at_peak(const reports::ProfileReport& report) {
  return report.memory.categories_at_peak[static_cast<int>(profiler::Category::weight_copy)];
}

TEST_CASE("the report names the 16-bit copies: two bytes a parameter of a matmul") {
  // In the MLP every parameter is one.
  experiments::ProfileOptions options;
  options.model = "mlp:image=8,channels=3,classes=10,hidden=64";
  options.batch = 512;
  options.threads = 1;
  options.time_steps = 0;
  for (const std::string device : {"cpu", "meta"}) {
    CAPTURE(device);
    options.device = device;
    options.precision = "bf16";
    const auto mixed = experiments::run_profile(options);
    REQUIRE(mixed.memory.peak.phase != Phase::optimizer_step);
    CHECK(copies_at_peak(mixed) == 2 * mixed.model.parameter_count);
    for (const auto& [key, value] : mixed.header.configuration) {
      if (key == "precision") CHECK(std::get<std::string>(value) == "bf16:list=cuda");
    }
    options.precision = "fp32";
    CHECK(copies_at_peak(experiments::run_profile(options)) == 0);
  }
}

// A ConvNeXt block's operations: depthwise convolution, LN, fc1, GELU, fc2, layer scale.
struct ConvBlock {
  static constexpr std::int64_t kChannels = 8, kSide = 6;

  explicit ConvBlock(at::Device device) : options(at::dtype(at::kFloat).device(device)) {
    for (const auto& [name, kind] :
         {std::pair{"b.dw", SiteKind::conv2d}, std::pair{"b.norm", SiteKind::norm},
          std::pair{"b.fc1", SiteKind::linear}, std::pair{"b.act", SiteKind::nonlinearity},
          std::pair{"b.fc2", SiteKind::linear}}) {
      sites.add(name, kind);
    }
    const std::int64_t c = kChannels;
    for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
             {c, 1, 7, 7}, {c}, {c}, {c}, {4 * c, c}, {4 * c}, {c, 4 * c}, {c}, {c}}) {
      weights.push_back(at::ones(shape, options).requires_grad_(true));
    }
  }

  at::Tensor forward(Execution& run, const at::Tensor& x) const {
    const ScopedLayer scope(sites[0].layer);
    const auto& w = weights;
    at::Tensor y = run.conv2d(0, x, {.weight = w[0], .bias = w[1], .padding = 3, .groups = 8});
    y = run.layer_norm(1, y.permute({0, 2, 3, 1}), w[2], w[3], 1e-6);
    y = run.linear(4, run.gelu(3, run.linear(2, y, w[4], w[5])), w[6], w[7]);
    return x.add(y.mul(w[8]).permute({0, 3, 1, 2}));
  }

  at::TensorOptions options;
  SiteTable sites;
  std::vector<at::Tensor> weights;
};

TEST_CASE("a ConvNeXt block's operations hold 26 bytes a value, CPU and Meta") {
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kMeta)}) {
    const ConvBlock block(device);
    const Plan plan = full_plan(block.sites);
    KeyedMaskSource masks(1);
    Execution run(block.sites, plan, masks, {.precision = {.low = at::kBFloat16}});
    const std::int64_t side = ConvBlock::kSide, rows = kBatch * side * side;
    const at::Tensor x = at::ones({kBatch, ConvBlock::kChannels, side, side}, block.options);
    const DeviceId id{device.is_meta() ? DeviceId::Kind::meta : DeviceId::Kind::cpu};
    profiler::Tracer tracer({.device = id}, block.sites.layers());
    run.begin_step({.device = device});
    tracer.enter(Phase::forward);
    const at::Tensor y = block.forward(run, at::Tensor(x).requires_grad_(true));
    CHECK((y.scalar_type() == at::kFloat));
    for (const at::Tensor& weight : block.weights) {
      tracer.tag(weight, profiler::Category::parameter);
      tracer.tag(run.weight_copy(weight), profiler::Category::weight_copy);
    }
    tracer.enter(Phase::backward);
    y.sum().backward();
    const auto memory = profiler::analyse(tracer.stop());
    CHECK(memory.ledger.balanced);
    CHECK(layer(memory, "b").saved.distinct_bytes == 26 * rows * ConvBlock::kChannels + 8 * rows);
  }
}

}  // namespace
}  // namespace sbp::tests
