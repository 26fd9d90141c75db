// One small net, stepped on the CPU and on Meta: what autograd saves must be the same.
#include <ATen/core/Tensor.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/add.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "profiler/ledger.h"
#include "sbp/base/error.h"
#include "tests/torch/profiler/traced.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::profiler::test {
namespace {

using at::Tensor;

// B images, N tokens of width kDim in kHeads heads.
constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kDim = 16;
constexpr std::int64_t kHeads = 4;
constexpr std::int64_t kTokens = 16;

struct Net {
  at::TensorOptions options;
  at::TensorOptions parameter_options;
  bool fused;
  std::vector<Tensor> parameters = {};

  Tensor parameter(at::IntArrayRef sizes) {
    parameters.push_back(
        at::full(sizes, 0.01, parameter_options.dtype(options.dtype())).requires_grad_(true));
    return parameters.back();
  }
};

Tensor attention(Net& net, const Tensor& x) {
  const Tensor weight = net.parameter({3 * kDim, kDim});
  const Tensor qkv = at::linear(x, weight, net.parameter({3 * kDim}))
                         .reshape({kBatch, kTokens, 3, kHeads, kDim / kHeads})
                         .permute({2, 0, 3, 1, 4});
  if (net.fused) {
    return std::get<0>(
        at::_scaled_dot_product_flash_attention_for_cpu(qkv[0], qkv[1], qkv[2], 0.0, false));
  }
  const Tensor scores = at::matmul(qkv[0], qkv[1].transpose(-2, -1));
  return at::matmul(at::softmax(scores, -1), qkv[2]);
}

Tensor mlp(Net& net, const Tensor& x) {
  const Tensor hidden =
      at::gelu(at::linear(x, net.parameter({4 * kDim, kDim}), net.parameter({4 * kDim})));
  return at::linear(hidden, net.parameter({kDim, 4 * kDim}), net.parameter({kDim}));
}

Tensor norm(Net& net, const Tensor& x) {
  return at::layer_norm(x, {kDim}, net.parameter({kDim}), net.parameter({kDim}), 1e-6);
}

Tensor forward(Net& net, LayerTable& layers, const Tensor& images) {
  const auto scope = [&](const char* name, const char* kind) { return layers.add(name, kind); };
  Tensor x;
  {
    const ScopedLayer layer(scope("patch_embed", "conv2d"));
    const Tensor weight = net.parameter({kDim, 3, 4, 4});
    x = at::convolution(images, weight, net.parameter({kDim}), {4, 4}, {0, 0}, {1, 1}, false,
                        {0, 0}, 1)
            .flatten(2)
            .transpose(1, 2);
  }
  {
    const ScopedLayer layer(scope("attention", "attention"));
    const Tensor out = attention(net, norm(net, x)).transpose(1, 2).reshape(x.sizes());
    x = at::add(x, out);
  }
  const ScopedLayer layer(scope("mlp", "linear"));
  return at::add(x, mlp(net, norm(net, x)));
}

Trace step(const DeviceId& device, at::ScalarType type, bool fused) {
  const auto kind = device == kMeta ? at::kMeta : at::kCPU;
  Net net{at::TensorOptions(kind).dtype(type), at::TensorOptions(kind), fused};
  LayerTable layers;
  const Tensor images = at::ones({kBatch, 3, 16, 16}, net.options);
  const Tensor labels = at::zeros({kBatch}, at::TensorOptions(kind).dtype(at::kLong));
  Tracer tracer({.device = device, .buffer_records = 1 << 14}, layers);
  tracer.tag(images, Category::input);
  tracer.enter(Phase::forward);
  const Tensor out = forward(net, layers, images);
  Tensor loss = at::cross_entropy_loss(out.select(1, 0).to(at::kFloat), labels);
  for (const Tensor& parameter : net.parameters) tracer.tag(parameter, Category::parameter);
  tracer.enter(Phase::backward);
  loss.backward();
  for (const Tensor& parameter : net.parameters) tracer.tag(parameter.grad(), Category::gradient);
  loss.reset();
  return tracer.stop();
}

// One line a save: layer, its own bytes, its storage's bytes.
std::vector<std::string> saves(const Trace& trace) {
  std::unordered_map<std::uint64_t, std::int64_t> block_bytes;
  std::vector<std::string> lines;
  for (const Record& record : trace.records) {
    if (record.kind == RecordKind::allocate) block_bytes[record.address] = record.bytes;
    if (record.kind != RecordKind::save) continue;
    REQUIRE(block_bytes.count(record.address) == 1);
    const std::string layer =
        record.layer == kNoLayer ? "" : trace.layers[static_cast<std::size_t>(record.layer)].name;
    lines.push_back(
        concat(layer, " saves ", record.bytes, " of ", block_bytes[record.address], " bytes"));
  }
  return lines;
}

TEST_CASE("meta step: saves equal the CPU's in layer, bytes, storage and order") {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const bool fused : {false, true}) {
      INFO(std::string(at::toString(type)));
      CAPTURE(fused);
      const Trace cpu = step(kCpu, type, fused);
      const Trace meta = step(kMeta, type, fused);
      const auto expected = saves(cpu);
      const auto found = saves(meta);
      CHECK(expected.size() > 15);
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == expected[i]);
    }
  }
}

TEST_CASE("meta step: the ledger's figures for what is saved equal the CPU's") {
  for (const bool fused : {false, true}) {
    const MemoryProfile cpu = analyse(step(kCpu, at::kFloat, fused));
    const MemoryProfile meta = analyse(step(kMeta, at::kFloat, fused));
    CHECK(cpu.ledger.first_problem == "");
    CHECK(meta.ledger.first_problem == "");
    CHECK(cpu.ledger.balanced);
    CHECK(meta.ledger.balanced);
    CHECK(cpu.saved == meta.saved);
    const auto find = [](const MemoryProfile& profile, const std::string& name) {
      for (const LayerMemory& layer : profile.layers) {
        if (layer.name == name) return layer.saved;
      }
      return SavedBytes{};
    };
    for (const std::string name : {"patch_embed", "attention", "mlp"}) {
      CAPTURE(name);
      CHECK(find(cpu, name) == find(meta, name));
    }
    // The patch embedding saves the input batch and its weight, which do not count.
    CHECK(find(cpu, "patch_embed").distinct_bytes == 0);
    // Norm's input, statistics and output, and qkv; eager: one map for each head, which softmax
    // and the product share; fused: the output and a row sum for each head.
    const std::int64_t core = fused ? kDim + kHeads : kHeads * kTokens;
    CHECK(find(cpu, "attention").distinct_bytes == kBatch * kTokens * (5 * kDim + 2 + core) * 4);
    // The MLP by the closed formula: norm's input, statistics and output, both sides of GELU.
    CHECK(find(cpu, "mlp").distinct_bytes == kBatch * kTokens * (10 * kDim + 2) * 4);
  }
}

TEST_CASE("meta step: what the convolution's backward allocates is marked and of its layer") {
  const Trace trace = step(kCpu, at::kFloat, false);
  std::size_t marked_in_backward = 0;
  std::uint64_t first_node = 0;
  std::uint64_t end_node = 0;
  for (const Record& record : trace.records) {
    if (record.layer == 0 && record.kind == RecordKind::layer_enter) first_node = record.node;
    if (record.layer == 0 && record.kind == RecordKind::layer_leave) end_node = record.node;
    if (record.kind != RecordKind::allocate) continue;
    if (record.layer == 0) CHECK((record.detail & kInConvolution) != 0);
    if (record.node == kNoNode || (record.detail & kInConvolution) == 0) continue;
    ++marked_in_backward;
    CHECK(record.node >= first_node);
    CHECK(record.node < end_node);
  }
  CHECK(marked_in_backward > 0);
}

}  // namespace
}  // namespace sbp::profiler::test
