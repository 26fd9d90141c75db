// Operators that need values stop a step on Meta with their name.
#include <ATen/core/Tensor.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/masked_select.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/repeat_interleave.h>

#include <functional>
#include <string>

#include "profiler/torch/meta_errors.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::profiler::test {
namespace {

using at::Tensor;

// Empty where the error is taken for another one.
std::string name_from(const std::function<void()>& body) {
  try {
    body();
  } catch (const c10::Error& error) {
    return operator_that_needs_values(error).value_or("");
  }
  FAIL("it did not stop");
  return {};
}

TEST_CASE("an operator that needs values is named") {
  const auto meta = at::TensorOptions(at::kMeta);
  const Tensor x = at::empty({3, 4}, meta);
  const Tensor mask = at::empty({3, 4}, meta.dtype(at::kBool));
  const Tensor counts = at::empty({3}, meta.dtype(at::kLong));
  CHECK(name_from([&] { at::empty({1}, meta).item<double>(); }) == "aten::item");
  CHECK(name_from([&] { at::nonzero(x); }) == "aten::nonzero");
  CHECK(name_from([&] { x.index({mask}); }) == "aten::nonzero");
  CHECK(name_from([&] { at::masked_select(x, mask); }) == "aten::masked_select");
  CHECK(name_from([&] { at::equal(x, x); }) == "aten::equal");
  CHECK(name_from([&] { at::bincount(counts); }) == "aten::bincount");
  CHECK(name_from([&] { at::repeat_interleave(x, counts, 0); }) ==
        "aten::repeat_interleave.Tensor");
  CHECK(name_from([&] { x.to(at::kCPU); }) == "aten::copy_");
}

TEST_CASE("another error is not taken for one that is about values") {
  const Tensor x = at::empty({3, 4}, at::TensorOptions(at::kMeta));
  CHECK(name_from([&] { at::mm(x, x); }) == "");
}

}  // namespace
}  // namespace sbp::profiler::test
