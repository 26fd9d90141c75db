// On a machine with a GPU, in a build with CUDA devices: what nothing else can show. Elsewhere the
// reason is printed and the tests count as skipped.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "profiler/cuda/cuda_tracer.h"
#include "profiler/cuda/scope_id.h"
#include "profiler/ledger.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/error.h"
#include "tests/skip.h"
#include "tests/torch/doctest.h"

namespace sbp::profiler {
namespace {

const DeviceId kCuda{.kind = DeviceId::Kind::cuda, .index = 0};

// Why the tests below cannot run; empty when they can.
std::string why_not() {
  const std::string reason = cuda_unavailable(kCuda);
  return reason.empty() ? reason : "cuda: " + reason;
}

TEST_SUITE_BEGIN("cuda");

TEST_CASE("cuda: without a device the hooks say why, in a sentence, and nothing is traced") {
  const std::string reason = cuda_unavailable(kCuda);
  if (reason.empty()) SBP_SKIP("cuda: this machine has a device");
  CHECK(reason.size() > 20);
  CHECK_THROWS_WITH_AS(install_cuda_hooks(kCuda), ("device 'cuda:0': " + reason).c_str(), Error);
  CHECK(!take_cuda_observations());
  CHECK(live_bytes(kCuda) == 0);
}

TEST_CASE("cuda: a traced step balances against the allocator's own counters") {
  if (const std::string reason = why_not(); !reason.empty()) SBP_SKIP(reason);
  install_cuda_hooks(kCuda, DriverWatch::until_first_trace);
  LayerTable layers;
  const LayerId layer = layers.add("fc", "linear");
  // Before the trace, as what a library takes at its first use.
  at::Tensor pinned;
  {
    const ScopedLayer scope(layer);
    pinned = at::empty({1000}, at::dtype(at::kFloat).pinned_memory(true));
  }
  const auto options = at::dtype(at::kFloat).device(at::kCUDA, 0);
  const at::Tensor x = at::ones({256, 1000}, options);
  at::Tensor w = at::ones({1000, 300}, options);
  w.requires_grad_(true);
  Tracer tracer({.device = kCuda}, layers);
  tracer.enter(Phase::forward);
  at::Tensor loss;
  {
    const ScopedLayer scope(layer);
    loss = at::matmul(x, w).sum();
  }
  tracer.enter(Phase::backward);
  torch::autograd::backward({loss});
  const MemoryProfile profile = analyse(tracer.stop());
  CHECK(profile.ledger.first_problem == "");
  CHECK(profile.saved.distinct_bytes == 256 * 1000 * 4);  // w is a leaf of its own
  const auto seen = take_cuda_observations();
  REQUIRE(seen);
  CHECK(seen->books.first_problem == "");
  CHECK(seen->books.requested_peak.allocator.balances());
  CHECK(seen->books.requested_peak.allocator.requested == profile.peak.bytes);
  CHECK(seen->cupti_reason == "");
  CHECK(seen->books.segments_matched > 0);
  const auto is_pinned = [&](const UnseenAllocation& allocation) {
    return allocation.kind == MemoryKind::pinned && allocation.external_id == layer_scope_id(layer);
  };
  CHECK(std::ranges::any_of(seen->books.unseen, is_pinned));
}

TEST_CASE("cuda: a block of the backward is booked to the layer whose forward made its node") {
  if (const std::string reason = why_not(); !reason.empty()) SBP_SKIP(reason);
  install_cuda_hooks(kCuda, DriverWatch::until_first_trace);
  LayerTable layers;
  const LayerId layer = layers.add("fc", "linear");
  at::Tensor w = at::ones({64, 64}, at::dtype(at::kFloat).device(at::kCUDA, 0));
  w.requires_grad_(true);
  Tracer tracer({.device = kCuda}, layers);
  tracer.enter(Phase::forward);
  at::Tensor loss;
  {
    const ScopedLayer scope(layer);
    loss = w.mul(w).sum();
  }
  tracer.enter(Phase::backward);
  torch::autograd::backward({loss});
  const MemoryProfile profile = analyse(tracer.stop(), {.keep_blocks = true});
  REQUIRE(profile.blocks);
  std::int64_t gradients = 0;  // of a whole matrix: not the first one, which is of the loss
  for (const BlockLife& block : profile.blocks->lives) {
    if (block.phase != Phase::backward || block.bytes != 64 * 64 * 4) continue;
    ++gradients;
    CHECK(block.layer == "fc");
  }
  CHECK(gradients > 0);
}

TEST_SUITE_END();

TEST_CASE("a scope pushed to CUPTI is a layer, or a node with its thread") {
  CHECK(layer_of_scope(layer_scope_id(0)) == 0);
  CHECK(layer_of_scope(layer_scope_id(123456)) == 123456);
  CHECK(layer_scope_id(kNoLayer) == 0);
  CHECK(layer_of_scope(0) == kNoLayer);
  CHECK(node_of_scope(layer_scope_id(5)) == kNoNode);
  const Record node{.node = 987654321, .thread = 65535};
  const std::uint64_t id = node_scope_id(node);
  CHECK(is_backward_scope(id));
  CHECK(node_of_scope(id) == 987654321);
  CHECK(thread_of_scope(id) == 65535);
  CHECK(layer_of_scope(id) == kNoLayer);
  const Record accumulate{.node = 0x7f0012345678, .thread = 3, .detail = kAccumulates};
  CHECK(node_of_scope(node_scope_id(accumulate)) == kNoNode);
  CHECK(thread_of_scope(node_scope_id(accumulate)) == 3);
  CHECK(node_of_scope(node_scope_id(Record{})) == kNoNode);
}

}  // namespace
}  // namespace sbp::profiler
