// ConvNeXt: bytes against closed formulas, views instead of copies, exactness, errors.
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "experiments/models/convnext.h"
#include "experiments/models/registry.h"
#include "experiments/runs/catalogue.h"
#include "experiments/runs/profile_run.h"
#include "experiments/strategies.h"
#include "profiler/torch/tracer.h"
#include "profiler/trace.h"
#include "sbp/base/error.h"
#include "sbp/execution.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

constexpr std::int64_t kBatch = 2, kFloat = 4, kIndex = 8, kClasses = 10;
const std::vector<std::int64_t> kDepths{1, 2, 2, 1}, kDims{8, 16, 24, 32}, kSides{16, 8, 4, 2};
// The last round(2/3 * 6) = 4 blocks drop: stages 2 and 3, and stage 1's second block.
const std::vector<int> kDropping{0, 0, 1, 1, 1, 1};

reports::ProfileReport measure(const std::string& strategy, const std::string& device,
                               const std::string& keys = "") {
  ProfileOptions options;
  options.model = concat("convnext:image=32,stem=2,channels=3,classes=", kClasses,
                         ",depths=[1;2;2;1],dims=[8;16;24;32]", keys);
  options.strategy = strategy;
  options.device = device;
  options.batch = kBatch;
  options.threads = 1;
  options.warmup = 1;
  options.time_steps = 0;
  return run_profile(options);
}

std::int64_t saved(const reports::ProfileReport& report, const std::string& layer) {
  return tests::layer(report.memory, layer).saved.distinct_bytes;
}

// Rows of stage `stage` that its sites keep; all of them where nothing drops.
std::int64_t kept_rows(const reports::ProfileReport& report, std::size_t stage) {
  for (const reports::PlanEntry& entry : report.plan) {
    if (entry.keep_ratio && entry.site.starts_with(concat("stages.", stage, "."))) {
      return entry.kept_rows;
    }
  }
  return kSides[stage] * kSides[stage];
}

// `of_kept`: what a dropping block saves of kept rows, in units of [rows, width]; 0: none drops.
void check_stages(const reports::ProfileReport& report, std::int64_t of_kept) {
  const bool drops = of_kept > 0;
  int block = 0;
  for (std::size_t i = 0; i < kDepths.size(); ++i) {
    const std::int64_t n = kSides[i] * kSides[i], c = kDims[i], k = kept_rows(report, i);
    for (std::int64_t j = 0; j < kDepths[i]; ++j, ++block) {
      const bool dropping = drops && kDropping[static_cast<std::size_t>(block)] == 1;
      const std::int64_t floats = dropping ? n * c + of_kept * k * c + 2 * k : 12 * n * c + 2 * n;
      CAPTURE(block);
      CHECK(saved(report, concat("stages.", i, ".blocks.", j)) ==
            kFloat * kBatch * floats + (dropping ? kIndex * k : 0));
      if (j > 0 || i == 0) continue;
      const std::int64_t before = kSides[i - 1] * kSides[i - 1], width = kDims[i - 1];
      const std::int64_t pixels = 4 * width * (dropping ? k : n);
      CHECK(saved(report, concat("stages.", i, ".downsample")) ==
            kFloat * kBatch * (before * width + 2 * before + pixels) + (dropping ? kIndex * k : 0));
    }
  }
}

TEST_CASE("saved bytes of ConvNeXt equal the closed formulas, CPU and Meta") {
  for (const std::string device : {"cpu", "meta"}) {
    // As one node an MLP keeps neither its second linear's input nor that of the layer scale.
    for (const auto& [strategy, of_kept] : {std::pair{"full", 0},
                                            {"sbp:keep=0.5", 6},
                                            {"sbp:keep=0.25,mask=random", 6},
                                            {"sbp:keep=0.75,mask=random,mlp=store", 11},
                                            {"sbp:compat=released", 11}}) {
      CAPTURE(device);
      CAPTURE(strategy);
      const auto report = measure(strategy, device);
      check_stages(report, of_kept);
      const std::int64_t n = kSides[0] * kSides[0], c = kDims[0], last = kDims.back();
      CHECK(saved(report, "stem") == kFloat * kBatch * (n * c + 2 * n));
      CHECK(saved(report, "head") == kFloat * kBatch * (2 * last + 2));
      CHECK(report.memory.ledger.balanced);
    }
  }
}

TEST_CASE("every layer of ConvNeXt saves the same on CPU and on Meta") {
  for (const std::string strategy : {"full", "sbp:keep=0.5,layers=all"}) {
    for (const std::string keys : {"", ",norm=unfused", ",drop_path=0.3,dropout=0.2"}) {
      CAPTURE(strategy);
      CAPTURE(keys);
      const auto cpu = measure(strategy, "cpu", keys).memory;
      const auto meta = measure(strategy, "meta", keys).memory;
      CHECK(cpu.saved == meta.saved);
      for (const auto& row : cpu.layers) {
        CAPTURE(row.name);
        CHECK(row.saved == tests::layer(meta, row.name).saved);
      }
    }
  }
}

TEST_CASE("a norm of plain operators keeps three maps and a root, the fused one keeps its input") {
  const auto fused = measure("full", "meta"), unfused = measure("full", "meta", ",norm=unfused");
  const std::int64_t n = kSides[0] * kSides[0], c = kDims[0];
  CHECK(saved(unfused, "stem") == kFloat * kBatch * (3 * n * c + n));
  CHECK(saved(unfused, "stages.1.downsample") - saved(fused, "stages.1.downsample") ==
        kFloat * kBatch * (2 * n * c - n));
  CHECK(saved(unfused, "head") == saved(fused, "head"));
  const auto stem_alone = measure("full", "meta", ",norm=unfused_stem");
  CHECK(saved(stem_alone, "stem") == saved(unfused, "stem"));
  CHECK(saved(stem_alone, "stages.1.downsample") == saved(fused, "stages.1.downsample"));
}

TEST_CASE("layer scale may be left out, and its map with it") {
  const auto report = measure("full", "meta", ",layer_scale=0");
  const std::int64_t n = kSides[0] * kSides[0], c = kDims[0];
  CHECK(saved(report, "stages.0.blocks.0") == kFloat * kBatch * (11 * n * c + 2 * n));
}

TEST_CASE("rows and channels-last images are one storage: a block makes no copy") {
  constexpr std::int64_t kWidth = 8, kSide = 16, kN = kSide * kSide;
  const auto model = make_convnext({.image = 32, .stem = 2, .depths = {1}, .dims = {kWidth}}, {});
  const Plan plan = full_plan(model->sites());
  KeyedMaskSource masks(0);
  Execution run(model->sites(), plan, masks);
  run.begin_step({});
  const at::Tensor images = at::randn({kBatch, 3, 32, 32});
  model->forward(run, images);  // oneDNN's first-time work is done
  const LayerTable& layers = model->sites().layers();
  profiler::Tracer tracer({.device = {DeviceId::Kind::cpu}}, layers);
  tracer.enter(Phase::forward);
  const at::Tensor logits = model->forward(run, images);
  const profiler::Trace trace = tracer.stop();
  std::map<std::string, std::int64_t> allocated;
  for (std::size_t i = static_cast<std::size_t>(trace.older_blocks); i < trace.records.size();
       ++i) {
    const profiler::Record& record = trace.records[i];
    const bool is_scratch = (record.detail & profiler::kInConvolution) != 0;
    if (record.kind != profiler::RecordKind::allocate || record.layer == kNoLayer || is_scratch) {
      continue;
    }
    allocated[trace.layers[static_cast<std::size_t>(record.layer)].name] += record.bytes;
  }
  const std::int64_t map = kFloat * kBatch * kN * kWidth, statistics = kFloat * kBatch * 2 * kN;
  const std::string block = "stages.0.blocks.0";
  CHECK(allocated[block] == 0);
  CHECK(allocated[block + ".norm"] == map + statistics);
  CHECK(allocated[block + ".mlp"] == 0);
  CHECK(allocated[block + ".mlp.fc1"] == 4 * map);
  CHECK(allocated[block + ".mlp.act"] == 4 * map);
  CHECK(allocated[block + ".mlp.fc2"] == map);
  CHECK(allocated[block + ".gamma"] == map);
  CHECK(allocated[block + ".add"] == map);
  CHECK(allocated["stem"] == map);  // the one copy into channels-last order
}

struct Pass {
  at::Tensor logits;
  std::vector<at::Tensor> gradients;
};

// Keeps no cell.
class NoCells : public MaskSource {
 public:
  KeptCells draw(const MaskRequest&) override { return {}; }
};

Pass run_pass(const std::string& strategy, at::ScalarType dtype, MaskSource& masks,
              bool training = true) {
  const auto model = make_convnext({.image = 32,
                                    .stem = 2,
                                    .depths = kDepths,
                                    .dims = kDims,
                                    .classes = kClasses,
                                    .layer_scale = 0.5},
                                   {.dtype = dtype, .seed = 3});
  const Plan plan = resolve(strategy, model->sites(), strategies());
  Execution run(model->sites(), plan, masks);
  run.begin_step({.training = training});
  at::manual_seed(1);
  const at::Tensor images = at::randn({2, 3, 32, 32}, at::dtype(dtype));
  Pass pass{model->forward(run, images), {}};
  torch::autograd::backward(
      {at::cross_entropy_loss(pass.logits, at::zeros({2}, at::dtype(at::kLong)))});
  for (const Parameter& parameter : model->parameters()) {
    pass.gradients.push_back(parameter.value.grad());
  }
  return pass;
}

bool same(const Pass& one, const Pass& other) {
  bool equal = one.logits.equal(other.logits);
  for (std::size_t i = 0; i < one.gradients.size(); ++i) {
    equal = equal && one.gradients[i].equal(other.gradients[i]);
  }
  return equal;
}

TEST_CASE("ConvNeXt: keep 1 is the full backward, evaluation the plain path, bit for bit") {
  KeyedMaskSource masks(9);
  const Pass full = run_pass("full", at::kFloat, masks);
  CHECK(same(full, run_pass("sbp:keep=1,layers=all", at::kFloat, masks)));
  CHECK(same(full, run_pass("sbp:keep=0.25,layers=all", at::kFloat, masks, false)));
  CHECK_FALSE(same(full, run_pass("sbp:keep=0.5,layers=all", at::kFloat, masks)));
}

TEST_CASE("ConvNeXt: the forward of sbp is exact, its gradient is not") {
  KeyedMaskSource masks(9);
  const Pass full = run_pass("full", at::kDouble, masks);
  for (const std::string strategy : {"sbp:keep=0.5,layers=all", "sbp:keep=0.25,mask=random"}) {
    const Pass dropped = run_pass(strategy, at::kDouble, masks);
    CHECK(full.logits.allclose(dropped.logits, 1e-12, 1e-14));
    CHECK_FALSE(full.gradients.front().allclose(dropped.gradients.front(), 1e-3, 1e-9));
  }
}

TEST_CASE("a mask that keeps nothing stops the gradient at the last downsampling that drops") {
  NoCells none;
  const Pass pass = run_pass("sbp:keep=0.5,layers=all", at::kFloat, none);
  KeyedMaskSource masks(9);
  CHECK(pass.logits.allclose(run_pass("full", at::kFloat, masks).logits, 1e-5, 1e-6));
  CHECK(pass.gradients.front().eq(0).all().item<bool>());       // stem.0.weight
  CHECK_FALSE(pass.gradients.back().eq(0).all().item<bool>());  // head.fc.bias
}

TEST_CASE("dropped regions coincide at every resolution, and kept rows are counted there") {
  const auto report = measure("sbp:keep=0.5,layers=all", "meta");
  std::int64_t sites = 0;
  for (const reports::PlanEntry& entry : report.plan) {
    if (!entry.keep_ratio) continue;
    ++sites;
    CAPTURE(entry.site);
    CHECK(2 * entry.kept_rows == entry.rows);
    CHECK(entry.effective_keep_ratio == 0.5);
  }
  CHECK(sites == 6 + 3);
  CHECK(report.strategy.effective_keep_ratio == 0.5);
}

TEST_CASE("a downsampling convolution is a linear on four pixels laid end to end") {
  const at::Tensor weight = at::randn({5, 3, 2, 2}, at::dtype(at::kDouble));
  const at::Tensor image = at::randn({1, 3, 2, 2}, at::dtype(at::kDouble));
  const at::Tensor expected = at::conv2d(image, weight, {}, 2).flatten();
  std::vector<at::Tensor> pixels;
  for (const auto& [row, column] : {std::pair{0, 0}, {1, 0}, {0, 1}, {1, 1}}) {
    pixels.push_back(image.select(0, 0).select(1, row).select(1, column));
  }
  const at::Tensor converted = downsample_weight_from_convolution(weight);
  CHECK(at::linear(at::cat(pixels), converted).allclose(expected, 1e-12, 1e-14));
  CHECK_THROWS_WITH(downsample_weight_from_convolution(at::zeros({5, 12})),
                    "a downsampling needs a convolution weight [out, in, 2, 2] and was given "
                    "'5x12'");
}

TEST_CASE("an odd map loses its last row and column, as in a stride-2 convolution") {
  const auto model = make_convnext(
      {.image = 14, .stem = 2, .depths = {1, 1}, .dims = {4, 6}, .classes = 3}, {.seed = 1});
  const Plan plan = full_plan(model->sites());
  KeyedMaskSource masks(0);
  Execution run(model->sites(), plan, masks);
  run.begin_step({});
  const auto stages = convnext_stages(*model, run, at::randn({2, 3, 14, 14}));
  CHECK(stages[0].sizes() == at::IntArrayRef({2, 4, 7, 7}));
  CHECK(stages[1].sizes() == at::IntArrayRef({2, 6, 3, 3}));
  CHECK_THROWS_WITH(resolve("sbp:layers=all", model->sites(), strategies()),
                    "strategy 'sbp': the 7x7 grid of site 'stages.0.blocks.0.mlp' is no multiple "
                    "of the 3x3 grid of 'stages.1.downsample', where the mask is drawn; use an "
                    "image whose side is a multiple of 4");
  CHECK(resolve("sbp:layers=0", model->sites(), strategies()).groups.size() == 1);
}

std::string message(const std::string& text, const std::string& strategy = "full") {
  try {
    const Spec spec = fit_to_data(parse_spec(text, "model", model_schemas()), {3, 32, 32, 10});
    const auto model = build_model(spec, {.device = at::kMeta});
    resolve(strategy, model->sites(), strategies());
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("ConvNeXt says which sizes do not go together") {
  CHECK(message("convnext:depths=[1;1],dims=[8;16]") == "");
  CHECK(message("convnext:depths=[1;1],dims=[8]") ==
        "model 'convnext': 2 depths and 1 dims; give one of each a stage");
  CHECK(message("convnext:depths=[1;x]") ==
        "model 'convnext' has depths '[1;x]'; use a list of whole numbers from 1 to 100000 such as "
        "[3;3;9;3]");
  CHECK(message("convnext:dims=[8;0;8;8]").find("dims '[8;0;8;8]'") != std::string::npos);
  CHECK(message("convnext:stem=5") ==
        "model 'convnext': stem '5' does not divide image '32'; use a divisor of the image size");
  CHECK(message("convnext:stem=16") ==
        "model 'convnext': image '32' with stem '16' leaves nothing after 3 halvings; use a "
        "smaller stem or fewer stages");
  CHECK(message("convnext:drop_path=1").find("'1'") != std::string::npos);
  CHECK(message("convnext:depths=[1;1],dims=[8;16]", "sbp:mlp=off,downsample=all") ==
        "strategy 'sbp:keep=0.5,mask=grid,start=-1,share=all,attention=query,proj=kept,mlp=off,"
        "downsample=all,norm=kept,unbiased=no,compat=none,layers=released,inputs=kept' drops "
        "nothing in this "
        "model; use 'full', or other keys: it acts on attention, MLPs, "
        "downsamplings and batch norms of the chosen layers");
}

}  // namespace
}  // namespace sbp::experiments
