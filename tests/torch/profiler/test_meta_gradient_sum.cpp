// Sums of gradients: in place on Meta as on the CPU, and nothing else is.
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <functional>
#include <vector>

#include "tests/torch/profiler/traced.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::profiler::test {
namespace {

using at::Tensor;

// Bytes of what the backward pass of `loss_of(x)` allocates, in order; scalars left out.
std::vector<std::int64_t> allocated_in_backward(
    const DeviceId& device, const std::function<Tensor(const Tensor&)>& loss_of) {
  const auto kind = device == kMeta ? at::kMeta : at::kCPU;
  const Tensor x = at::ones({100}, at::TensorOptions(kind)).requires_grad_(true);
  LayerTable layers;
  Tracer tracer({.device = device, .buffer_records = 1 << 12}, layers);
  const Tensor loss = loss_of(x);
  tracer.enter(Phase::backward);
  loss.backward(at::ones_like(loss));
  CHECK(x.grad().sizes() == x.sizes());
  std::vector<std::int64_t> bytes;
  bool in_backward = false;
  for (const Record& record : tracer.stop().records) {
    in_backward = in_backward || (record.kind == RecordKind::phase &&
                                  record.detail == static_cast<std::uint8_t>(Phase::backward));
    if (in_backward && record.kind == RecordKind::allocate && record.bytes >= 64) {
      bytes.push_back(record.bytes);
    }
  }
  return bytes;
}

// Its backward adds two tensors of its own that nobody else holds.
struct AddsInside : torch::autograd::Function<AddsInside> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.mul(2); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    const Tensor doubled = gradients[0].mul(2);
    return {doubled.add(gradients[0].mul(3))};
  }
};

// Its backward runs a backward pass of its own, in which gradients are summed.
struct RunsAgain : torch::autograd::Function<RunsAgain> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return x.mul(2);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::AutoGradMode grad_mode(true);
    const Tensor x = context->get_saved_variables()[0].detach().requires_grad_(true);
    const Tensor y = x.mul(2).add(x.mul(3)).add(x.mul(4));
    y.backward(gradients[0]);
    return {x.grad()};
  }
};

void check_same(const std::function<Tensor(const Tensor&)>& loss_of, std::size_t expected) {
  const auto cpu = allocated_in_backward(kCpu, loss_of);
  const auto meta = allocated_in_backward(kMeta, loss_of);
  CHECK(cpu == meta);
  CHECK(cpu.size() == expected);
}

TEST_CASE("gradients that meet are summed in the first one, on Meta too") {
  // The root's gradient, then one for each product; no sums.
  check_same([](const Tensor& x) { return x.mul(2).add(x.mul(3)).add(x.mul(4)); }, 4);
}

TEST_CASE("a gradient that somebody else holds is not added to") {
  // The same gradient goes along both ways: their sum needs memory of its own.
  check_same([](const Tensor& x) { return x.add(x); }, 2);
  check_same(
      [](const Tensor& x) {
        const Tensor y = x.mul(2);
        return y.add(y);
      },
      3);
}

TEST_CASE("what a node adds is not taken for a sum of gradients") {
  check_same([](const Tensor& x) { return AddsInside::apply(x); }, 4);
  check_same([](const Tensor& x) { return AddsInside::apply(x).add(x.mul(2)); }, 5);
}

TEST_CASE("gradients are summed in place in a backward pass inside of another") {
  check_same([](const Tensor& x) { return RunsAgain::apply(x).add(x.mul(5)); }, 10);
}

TEST_CASE("outside of a backward pass an addition on Meta makes a tensor") {
  const std::int64_t before = live_bytes(kMeta);
  const Tensor a = at::ones({100}, at::TensorOptions(at::kMeta));
  const Tensor sum = at::add(a, a.mul(2));
  CHECK(live_bytes(kMeta) - before == 800);
  CHECK_FALSE(sum.is_same(a));
}

}  // namespace
}  // namespace sbp::profiler::test
