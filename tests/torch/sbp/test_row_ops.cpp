#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "sbp/recompute.h"
#include "sbp/row_ops.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp {
namespace {

at::Tensor index(std::vector<std::int64_t> values) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::dtype(at::kLong));
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

TEST_CASE("rows taken and put back are the rows, and only kept ones carry gradient") {
  const at::Tensor x =
      at::arange(12, at::dtype(at::kFloat)).reshape({1, 4, 3}).requires_grad_(true);
  const StepRows rows{index({0, 2}), index({1, 3})};
  const at::Tensor kept = take_rows(x, rows.kept);
  CHECK(kept.equal(x.detach().index_select(1, rows.kept)));
  const at::Tensor whole = put_rows(kept.mul(2.0), x.detach().index_select(1, rows.dropped), rows);
  const at::Tensor expected = x.detach().clone();
  expected.select(1, 0).mul_(2.0);
  expected.select(1, 2).mul_(2.0);
  CHECK(whole.equal(expected));

  torch::autograd::backward({whole.sum()});
  const at::Tensor gradient = at::zeros({1, 4, 3});
  gradient.select(1, 0).fill_(2.0);
  gradient.select(1, 2).fill_(2.0);
  CHECK(x.grad().equal(gradient));
}

TEST_CASE("nothing is recorded for what needs no gradient") {
  const at::Tensor x = at::randn({2, 4, 3});
  CHECK_FALSE(take_rows(x, index({1})).requires_grad());
}

TEST_CASE("recomputing gives the same bits and the same gradients") {
  const at::Tensor weight = at::randn({3, 3}).requires_grad_(true);
  const at::Tensor x = at::randn({2, 4, 3}).requires_grad_(true);
  const auto body = [weight](const at::Tensor& rows) { return rows.matmul(weight).tanh(); };
  const at::Tensor stored = body(x);
  torch::autograd::backward({stored.sum()});
  const at::Tensor dx = x.grad().clone(), dw = weight.grad().clone();
  x.mutable_grad() = at::Tensor();
  weight.mutable_grad() = at::Tensor();

  const at::Tensor again = recompute(kNoLayer, x, body);
  CHECK(again.equal(stored));
  torch::autograd::backward({again.sum()});
  CHECK(x.grad().equal(dx));
  CHECK(weight.grad().equal(dw));
}

}  // namespace
}  // namespace sbp
