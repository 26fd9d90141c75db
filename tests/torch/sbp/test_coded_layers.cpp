// Layers with a coded input against the plain ones: value, input and bias gradient bit for bit,
// weight gradient that of the plain layer on the decoded input.
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/pad.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "sbp/activation.h"
#include "sbp/base/error.h"
#include "sbp/coded_ops.h"
#include "sbp/convolution.h"
#include "sbp/execution.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp {
namespace {

// Keeps every second element of the last dimension. Counts what it is asked for.
class EverySecond : public SavedCodec {
 public:
  Packed encode(const at::Tensor& value, const StreamKey&) const override {
    ++encoded;
    return {{masked(value), SaveLabel::value}};
  }
  at::Tensor decode(const std::vector<at::Tensor>& parts, const CodedTensor& coded) const override {
    ++decoded;
    CHECK(parts[0].sizes() == at::IntArrayRef(coded.sizes));
    return parts[0];
  }
  static at::Tensor masked(const at::Tensor& value) {
    const at::Tensor half = value.detach().clone();
    for (std::int64_t i = 0; i < value.size(-1); i += 2) half.select(-1, i).zero_();
    return half;
  }
  mutable int encoded = 0, decoded = 0;
};

struct Result {
  at::Tensor value, dx, dw, db;
};

using Layer =
    std::function<at::Tensor(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b)>;

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.detach().requires_grad_(true) : at::Tensor();
}

Result run(const Layer& layer, const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
  const at::Tensor own_x = leaf(x), own_w = leaf(w), own_b = leaf(b);
  const at::Tensor y = layer(own_x, own_w, own_b);
  at::manual_seed(9);
  torch::autograd::backward({y}, {at::randn_like(y)});
  return {y.detach(), own_x.grad(), own_w.grad(), b.defined() ? own_b.grad() : at::Tensor()};
}

// `masked_x`: what the weight gradient is to be taken of.
void check(const Layer& plain, const Layer& coded, const std::vector<at::Tensor>& in,
           const at::Tensor& masked_x) {
  const Result expected = run(plain, in[0], in[1], in[2]);
  const Result got = run(coded, in[0], in[1], in[2]);
  CHECK(got.value.equal(expected.value));
  CHECK(got.dx.equal(expected.dx));
  if (in[2].defined()) CHECK(got.db.equal(expected.db));
  const at::Tensor dw = run(plain, masked_x, in[1], in[2]).dw;
  CHECK(got.dw.equal(dw));
  if (in[0].numel() > 0) CHECK_FALSE(got.dw.equal(expected.dw));
}

at::Tensor random_tensor(const std::vector<std::int64_t>& sizes, at::ScalarType type) {
  return at::randn(sizes, at::dtype(at::kDouble)).to(type);
}

TEST_CASE("a coded linear: two and three dimensions, transposed weights, odd layouts, all types") {
  const auto codec = std::make_shared<EverySecond>();
  const Layer plain = [](const auto& x, const auto& w, const auto& b) {
    return at::linear(x, w, b);
  };
  const Layer coded = [&](const auto& x, const auto& w, const auto& b) {
    return coded_linear(x, w, b, {.codec = codec});
  };
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const at::Tensor w = random_tensor({7, 12}, type), b = random_tensor({7}, type);
    const at::Tensor x = random_tensor({4, 5, 12}, type);
    CAPTURE(std::string(c10::toString(type)));
    check(plain, coded, {x, w, b}, EverySecond::masked(x));
    check(plain, coded, {x, w, {}}, EverySecond::masked(x));
    check(plain, coded, {x.select(0, 0), w, b}, EverySecond::masked(x.select(0, 0)));
    check(plain, coded, {x.narrow(0, 0, 0), w, b}, EverySecond::masked(x.narrow(0, 0, 0)));
    const at::Tensor wide = random_tensor({4, 5, 24}, type);
    for (const at::Tensor& odd :
         {x.transpose(0, 1), wide.narrow(2, 3, 12), x.narrow(0, 0, 1).expand({4, 5, 12})}) {
      check(plain, coded, {odd, w, b}, EverySecond::masked(odd.contiguous()));
    }
    // GPT-2's Conv1D: the weight is [in, out].
    const Layer transposed = [&](const auto& one, const auto& v, const auto& c) {
      return coded_linear(one, v.t(), c, {.codec = codec});
    };
    const Layer addmm = [](const auto& one, const auto& v, const auto& c) {
      return at::linear(one, v.t(), c);
    };
    check(addmm, transposed, {x, w.t().contiguous(), b}, EverySecond::masked(x));
  }
}

TEST_CASE("a coded convolution: strides, paddings, groups, dilation, layouts, all types") {
  const auto codec = std::make_shared<EverySecond>();
  at::manual_seed(2);
  const auto check_shape = [&](Convolution shape, at::ScalarType type, at::MemoryFormat format) {
    const at::Tensor x = random_tensor({2, 6, 9, 10}, type).contiguous(format);
    const at::Tensor w = random_tensor({8, 6 / shape.groups, 3, 3}, type);
    const auto with = [shape](const at::Tensor& weight, const at::Tensor& bias) {
      Convolution c = shape;
      c.weight = weight;
      c.bias = bias;
      return c;
    };
    const Layer plain = [&](const auto& one, const auto& v, const auto& c) {
      return at::conv2d(one, v, c, shape.stride, shape.padding, shape.dilation, shape.groups);
    };
    const Layer coded = [&](const auto& one, const auto& v, const auto& c) {
      return coded_conv2d(one, with(v, c), {.codec = codec});
    };
    check(plain, coded, {x, w, random_tensor({8}, type)}, EverySecond::masked(x));
    check(plain, coded, {x, w, {}}, EverySecond::masked(x));
    const at::Tensor b = random_tensor({8}, type);
    for (const at::Tensor& odd : {x.narrow(0, 1, 1).expand({3, 6, 9, 10}), x.narrow(3, 1, 8),
                                  x.transpose(2, 3), x.narrow(0, 0, 0)}) {
      const bool is_dense = odd.is_non_overlapping_and_dense();
      const at::Tensor dense = is_dense ? odd : odd.contiguous(odd.suggest_memory_format());
      check(plain, coded, {odd, w, b}, EverySecond::masked(dense));
    }
  };
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      CAPTURE(std::string(c10::toString(type)));
      check_shape({.padding = 1}, type, format);
      check_shape({.stride = 2, .padding = 1, .groups = 2}, type, format);
      check_shape({.padding = 2, .dilation = 2}, type, format);
      check_shape({.stride = 3}, type, format);
    }
  }
}

TEST_CASE("paddings other than zeros come first, and are what is coded") {
  const auto codec = std::make_shared<EverySecond>();
  at::manual_seed(3);
  const at::Tensor x = random_tensor({2, 4, 8, 8}, at::kDouble);
  const at::Tensor w = random_tensor({6, 4, 3, 3}, at::kDouble),
                   b = random_tensor({6}, at::kDouble);
  const std::pair<PaddingMode, const char*> modes[] = {{PaddingMode::circular, "circular"},
                                                       {PaddingMode::reflect, "reflect"},
                                                       {PaddingMode::replicate, "replicate"}};
  for (const auto& [mode, word] : modes) {
    CAPTURE(word);
    const Layer plain = [word = word](const auto& one, const auto& v, const auto& c) {
      return at::conv2d(at::pad(one, {2, 2, 2, 2}, word), v, c);
    };
    const auto with = [mode = mode](const at::Tensor& v, const at::Tensor& c) {
      return Convolution{.weight = v, .bias = c, .padding = 2, .padding_mode = mode};
    };
    const Layer exact = [&](const auto& one, const auto& v, const auto& c) {
      return conv2d(one, with(v, c));
    };
    const Layer coded = [&](const auto& one, const auto& v, const auto& c) {
      return coded_conv2d(one, with(v, c), {.codec = codec});
    };
    const Result expected = run(plain, x, w, b);
    const Result same = run(exact, x, w, b);
    const Result got = run(coded, x, w, b);
    for (const Result* one : {&same, &got}) {
      CHECK(one->value.equal(expected.value));
      CHECK(one->dx.equal(expected.dx));
      CHECK(one->db.equal(expected.db));
    }
    CHECK(same.dw.equal(expected.dw));
    const Layer padded = [](const auto& one, const auto& v, const auto& c) {
      return at::conv2d(one, v, c);
    };
    const at::Tensor image = EverySecond::masked(at::pad(x, {2, 2, 2, 2}, word));
    CHECK(got.dw.equal(run(padded, image, w, b).dw));
  }
}

TEST_CASE("a coded ReLU has the plain gradient") {
  class Signs : public SavedCodec {
    Packed encode(const at::Tensor& value, const StreamKey&) const override {
      return {{value.gt(0), SaveLabel::value}};
    }
    at::Tensor decode(const std::vector<at::Tensor>& parts, const CodedTensor&) const override {
      return parts[0];
    }
  };
  const Layer plain = [](const auto& x, const auto&, const auto&) { return at::relu(x); };
  const Layer coded = [](const auto& x, const auto&, const auto&) {
    return coded_relu(x, {.codec = std::make_shared<Signs>()});
  };
  at::manual_seed(5);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random_tensor({3, 4, 5}, type);
    x.select(0, 0).zero_();
    const at::Tensor none = at::zeros_like(x);
    CHECK(run(coded, x, none, {}).value.equal(run(plain, x, none, {}).value));
    CHECK(run(coded, x, none, {}).dx.equal(run(plain, x, none, {}).dx));
  }
}

TEST_CASE("nothing is coded or computed that nobody needs") {
  const auto codec = std::make_shared<EverySecond>();
  at::manual_seed(6);
  const at::Tensor x = random_tensor({2, 4, 8, 8}, at::kFloat);
  const at::Tensor w = random_tensor({4, 4, 3, 3}, at::kFloat);
  {
    const c10::NoGradGuard no_grad;
    coded_conv2d(x, {.weight = leaf(w)}, {.codec = codec});
    coded_linear(x, leaf(random_tensor({3, 8}, at::kFloat)), {}, {.codec = codec});
  }
  CHECK(codec->encoded == 0);
  // A frozen weight keeps no input, in whatever form.
  const at::Tensor own_x = leaf(x);
  torch::autograd::backward({coded_conv2d(own_x, {.weight = w}, {.codec = codec}).sum()});
  torch::autograd::backward(
      {coded_linear(own_x, random_tensor({3, 8}, at::kFloat), {}, {.codec = codec}).sum()});
  CHECK(codec->encoded == 0);
  CHECK(own_x.grad().defined());
  // The first layer of a network: no input gradient.
  const at::Tensor own_w = leaf(w);
  torch::autograd::backward({coded_conv2d(x, {.weight = own_w}, {.codec = codec}).sum()});
  CHECK(codec->encoded == 1);
  CHECK(codec->decoded == 1);
  CHECK(own_w.grad().defined());
  // Only the input's gradient is asked for: nothing is decoded.
  const at::Tensor y = coded_conv2d(own_x, {.weight = own_w}, {.codec = codec});
  const auto gradients = torch::autograd::grad({y.sum()}, {own_x});
  CHECK(gradients[0].defined());
  CHECK(codec->decoded == 1);
}

TEST_CASE("layers that take one tensor share one code, in one step and for one version") {
  const auto codec = std::make_shared<EverySecond>();
  SharedCodes shared;
  const Coding coding{.codec = codec, .key = {}, .shared = &shared};
  at::manual_seed(7);
  const at::Tensor x = leaf(random_tensor({2, 4, 8, 8}, at::kFloat)).mul(2.0);
  const at::Tensor w = leaf(random_tensor({4, 4, 3, 3}, at::kFloat));
  const at::Tensor first = coded_conv2d(x, {.weight = w}, coding);
  const at::Tensor second = coded_conv2d(x, {.weight = w, .stride = 2}, coding);
  CHECK(codec->encoded == 1);
  const at::Tensor part = coded_conv2d(x.narrow(0, 0, 1), {.weight = w}, coding);
  CHECK(codec->encoded == 2);  // another view
  const Coding other{.codec = std::make_shared<EverySecond>(), .key = {}, .shared = &shared};
  const at::Tensor third = coded_conv2d(x, {.weight = w}, other);
  CHECK(codec->encoded == 2);
  {
    const c10::NoGradGuard no_grad;
    x.detach().add_(1.0);
  }
  const at::Tensor later = coded_conv2d(x, {.weight = w}, coding);
  CHECK(codec->encoded == 3);                                  // another version
  torch::autograd::backward({first.sum().add(second.sum())});  // each from its own parts
  CHECK(codec->decoded == 2);
  shared.clear();
  coded_conv2d(x, {.weight = w}, coding);
  CHECK(codec->encoded == 4);
}

TEST_CASE("a code goes with its graph, and no other tensor at its address is taken for it") {
  const auto codec = std::make_shared<EverySecond>();
  SharedCodes shared;
  const Coding coding{.codec = codec, .key = {}, .shared = &shared};
  const at::Tensor w = leaf(random_tensor({3, 8}, at::kFloat));
  std::vector<at::Tensor> kept;
  for (int i = 0; i < 20; ++i) {
    const at::Tensor x = random_tensor({16, 8}, at::kFloat).mul(static_cast<double>(i));
    kept.push_back(coded_linear(x, w, {}, coding));  // x dies, its code stays
  }
  CHECK(codec->encoded == 20);
}

// Refuses everything.
class Refusing : public SavedCodec {
  Packed encode(const at::Tensor&, const StreamKey&) const override { throw Error("no"); }
  at::Tensor decode(const std::vector<at::Tensor>& parts, const CodedTensor&) const override {
    return parts[0];
  }
};

TEST_CASE("an error of a codec names the layer; evaluation takes the plain path") {
  SiteTable sites;
  const SiteId site = sites.add("blocks.0.fc", SiteKind::linear, 0);
  PlanBuilder builder(sites);
  builder.begin({"test", {}});
  builder.code(site, SavedRole::linear_input, {"refusing", {}});
  const Plan plan = std::move(builder).finish();
  KeyedMaskSource masks(0);
  Execution execution(sites, plan, masks, {.codecs = {{"refusing", std::make_shared<Refusing>()}}});
  const at::Tensor x = random_tensor({4, 8}, at::kFloat),
                   w = leaf(random_tensor({3, 8}, at::kFloat));
  execution.begin_step({});
  CHECK_THROWS_WITH(execution.linear(site, x, w, {}), "coding what 'blocks.0.fc' saves: no");
  execution.begin_step({.training = false});
  CHECK(execution.linear(site, x, w, {}).equal(at::linear(x, w)));
}

}  // namespace
}  // namespace sbp
