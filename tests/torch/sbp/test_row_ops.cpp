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
  const at::Tensor kept = take_rows(x, rows);
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

TEST_CASE("samples may keep rows of their own") {
  const at::Tensor x = at::randn({2, 3, 2}).requires_grad_(true);
  // Sample 0 keeps rows 0 and 2, sample 1 rows 1 and 2: positions in [2 * 3].
  const StepRows rows{.kept = index({0, 2, 4, 5}).view({2, 2}),
                      .dropped = index({1, 3}).view({2, 1})};
  CHECK(rows.per_sample());
  CHECK(rows.rows() == 3);
  const at::Tensor kept = take_rows(x, rows);
  CHECK(kept[0].equal(x[0].index_select(0, index({0, 2}))));
  CHECK(kept[1].equal(x[1].index_select(0, index({1, 2}))));
  const at::Tensor whole = put_rows(kept, select_rows(x, rows.dropped), rows);
  CHECK(whole.equal(x));
  const at::Tensor gradient = at::randn({2, 3, 2});
  torch::autograd::backward({whole}, {gradient});
  const at::Tensor expected = gradient.clone();
  expected[0][1].zero_();
  expected[1][0].zero_();
  CHECK(x.grad().equal(expected));
}

TEST_CASE("a weight multiplies the gradient of kept rows that are not always kept") {
  const at::Tensor x = at::randn({1, 4, 3}).requires_grad_(true);
  const StepRows rows{.kept = index({0, 2}), .dropped = index({1, 3}), .weight = 3.0, .leading = 1};
  const at::Tensor whole = put_rows(take_rows(x, rows), select_rows(x, rows.dropped), rows);
  CHECK(whole.equal(x));
  torch::autograd::backward({whole.sum()});
  const at::Tensor gradient = at::zeros({1, 4, 3});
  gradient.select(1, 0).fill_(1.0);
  gradient.select(1, 2).fill_(3.0);
  CHECK(x.grad().equal(gradient));
}

TEST_CASE("nothing is recorded for what needs no gradient") {
  const at::Tensor x = at::randn({2, 4, 3});
  CHECK_FALSE(take_rows(x, {index({1}), index({0, 2, 3})}).requires_grad());
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
