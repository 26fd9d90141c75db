// The codecs on tensors: bytes of each form on CPU and on Meta, layouts, refusals, chances.
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "dropit/code_size.h"
#include "dropit/kept_codec.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::dropit {
namespace {

constexpr StreamKey kKey{.seed = 5, .step = 3, .site = 8, .purpose = Purpose::sampling};

at::Tensor random_tensor(std::vector<std::int64_t> sizes, at::ScalarType type = at::kFloat) {
  at::manual_seed(4);
  return at::randn(sizes, at::dtype(at::kDouble)).to(type);
}

CodedTensor described(const at::Tensor& x, const StreamKey& key = kKey) {
  return {x.sizes().vec(), x.strides().vec(), x.scalar_type(), x.device(), key};
}

at::Tensor round_trip(const KeepRule& rule, const at::Tensor& x, const StreamKey& key = kKey) {
  const auto codec = kept_codec(rule);
  std::vector<at::Tensor> tensors;
  for (const PackedPart& part : codec->encode(x, key)) tensors.push_back(part.tensor);
  return codec->decode(tensors, described(x, key));
}

// What sorting keeps, in the order of indices; for values without ties.
at::Tensor masked(const at::Tensor& x, std::int64_t kept) {
  const at::Tensor flat = x.contiguous().reshape({-1});
  const at::Tensor places = flat.abs().argsort(-1, true).narrow(0, 0, kept);
  return at::zeros_like(flat).index_copy(0, places, flat.index_select(0, places)).view(x.sizes());
}

TEST_CASE("parts take the bytes of the formula, on CPU and on Meta, in every type") {
  const std::vector<std::int64_t> sizes{3, 7, 131};
  for (const Selection selection :
       {Selection::mink, Selection::random, Selection::nsigma, Selection::chunk}) {
    for (const IndexForm form :
         {IndexForm::int64, IndexForm::int32, IndexForm::mask, IndexForm::block, IndexForm::seed}) {
      if (form == IndexForm::seed && selection != Selection::random) continue;
      for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
        const KeepRule rule{.selection = selection, .gamma = 0.8, .index = form};
        const at::Tensor x = random_tensor(sizes, type);
        for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kMeta)}) {
          const Packed parts = kept_codec(rule)->encode(x.to(device), kKey);
          const std::int64_t kept = parts[0].tensor.numel();
          const Groups groups(rule, sizes, kKey);
          CAPTURE(to_string(spec_of(rule)));
          CAPTURE(device.str());
          // Only here the count depends on the data, and Meta has none.
          if (selection != Selection::nsigma || device.is_meta()) CHECK(kept == groups.kept());
          CHECK((parts[0].tensor.scalar_type() == type));
          CHECK((parts[0].label == SaveLabel::value));
          std::int64_t index = 0;
          for (std::size_t i = 1; i < parts.size(); ++i) {
            CHECK((parts[i].label == SaveLabel::index));
            CHECK(parts[i].tensor.device() == device);
            index += static_cast<std::int64_t>(parts[i].tensor.nbytes());
          }
          CHECK(index == index_bytes(form, x.numel(), kept));
        }
      }
    }
  }
}

TEST_CASE("min-k decodes to the kept elements in their places, whatever the layout") {
  const at::Tensor image = random_tensor({2, 5, 9, 11});
  const at::Tensor last = image.contiguous(at::MemoryFormat::ChannelsLast);
  const std::int64_t kept = kept_count(image.numel(), 0.9, false);
  for (const IndexForm form :
       {IndexForm::int64, IndexForm::int32, IndexForm::mask, IndexForm::block}) {
    const KeepRule rule{.gamma = 0.9, .index = form};
    CHECK(round_trip(rule, image).equal(masked(image, kept)));
    const at::Tensor decoded = round_trip(rule, last);
    CHECK(decoded.equal(masked(image, kept)));
    CHECK(decoded.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
  for (const at::ScalarType type : {at::kDouble, at::kHalf}) {
    const at::Tensor x = random_tensor({6, 50}, type);
    if (type == at::kDouble) CHECK(round_trip({.gamma = 0.5}, x).equal(masked(x, 150)));
    CHECK((round_trip({.gamma = 0.5}, x).scalar_type() == type));
  }
}

TEST_CASE("samples and rows keep their own share, in channels-last images too") {
  const at::Tensor x = random_tensor({4, 6, 50});
  const at::Tensor by_row = round_trip({.gamma = 0.8, .scope = Scope::row}, x);
  CHECK(by_row.ne(0).sum(-1).eq(10).all().item<bool>());
  CHECK(by_row.select(0, 2).select(0, 3).equal(masked(x.select(0, 2).select(0, 3), 10)));
  const at::Tensor image = random_tensor({2, 3, 8, 10});
  const KeepRule by_map{.gamma = 0.75, .scope = Scope::row};
  const at::Tensor of_map = round_trip(by_map, image);
  CHECK(of_map.ne(0).sum({2, 3}).eq(20).all().item<bool>());
  const at::Tensor last = image.contiguous(at::MemoryFormat::ChannelsLast);
  CHECK(round_trip(by_map, last).equal(of_map));
  CHECK(round_trip(by_map, last).strides() == last.strides());
  const at::Tensor by_sample = round_trip({.gamma = 0.75, .scope = Scope::sample}, image);
  CHECK(by_sample.ne(0).sum({1, 2, 3}).eq(60).all().item<bool>());
  const KeepRule each{.gamma = 0.75, .scope = Scope::sample};
  CHECK(round_trip(each, last).equal(by_sample));
  CHECK(round_trip(each, last).strides() == last.strides());
}

TEST_CASE("what cannot be coded is refused in one sentence") {
  const auto encode = [](const KeepRule& rule, const at::Tensor& x) {
    kept_codec(rule)->encode(x, kKey);
  };
  CHECK_THROWS_WITH(encode({.gamma = 0.9}, at::zeros({2, 2})),
                    "gamma=0.9 keeps none of the 4 elements that compete in a tensor [2, 2]; use a "
                    "smaller gamma, or exclude the layer");
  CHECK_THROWS_AS(encode({.gamma = 0.9, .scope = Scope::row}, at::zeros({100, 3})), Error);
  CHECK(kept_codec({.gamma = 0.9, .released = true})
            ->encode(at::zeros({2, 2}), kKey)[0]
            .tensor.numel() == 0);
  CHECK_THROWS_WITH(encode({.gamma = 0.5}, at::arange(8)),
                    "only floating-point tensors can be coded, and this one is 'Long'");
  const at::Tensor huge = at::empty({1 << 16, 1 << 15}, at::dtype(at::kHalf).device(at::kMeta));
  CHECK_THROWS_WITH(encode({.gamma = 0.5, .index = IndexForm::int32}, huge),
                    "index=int32 cannot count the 2147483648 elements of a tensor [65536, 32768]; "
                    "use index=block or index=mask");
  encode({.gamma = 0.5, .index = IndexForm::int32}, huge.narrow(0, 0, (1 << 16) - 1));
  encode({.gamma = 0.9}, at::zeros({0, 7}));
}

TEST_CASE("threads and repetition change nothing; another step, site or seed does") {
  const at::Tensor x = random_tensor({5, 40'000}, at::kBFloat16);
  for (const Selection selection : {Selection::mink, Selection::random, Selection::nsigma}) {
    const KeepRule rule{.selection = selection, .gamma = 0.9, .index = IndexForm::block};
    const int before = at::get_num_threads();
    at::set_num_threads(1);
    const at::Tensor one = round_trip(rule, x);
    at::set_num_threads(4);
    const at::Tensor four = round_trip(rule, x);
    at::set_num_threads(before);
    CHECK(one.equal(four));
    CHECK(one.equal(round_trip(rule, x)));
    for (const auto member : {&StreamKey::step, &StreamKey::site}) {
      StreamKey other = kKey;
      ++(other.*member);
      CHECK(round_trip(rule, x, other).equal(one) == (selection != Selection::random));
    }
    StreamKey other = kKey;
    ++other.seed;
    CHECK(round_trip(rule, x, other).equal(one) == (selection != Selection::random));
  }
}

TEST_CASE("unbiased random values come near the tensor as 1/K of their variance") {
  const at::Tensor x = random_tensor({3, 30'000}, at::kDouble);
  const KeepRule rule{
      .selection = Selection::random, .gamma = 0.75, .index = IndexForm::seed, .unbiased = true};
  at::Tensor sum = at::zeros_like(x);
  double at_four = 0.0;
  for (std::uint32_t step = 0; step < 64; ++step) {
    StreamKey key = kKey;
    key.step = step;
    sum.add_(round_trip(rule, x, key));
    const double error = sum.div(step + 1).sub(x).pow(2).sum().div(x.pow(2).sum()).item<double>();
    // Of one draw 1/p - 1 = 3 times the tensor's own energy.
    if (step == 0) CHECK(error == doctest::Approx(3.0).epsilon(0.03));
    if (step == 3) at_four = error;
    if (step == 63) CHECK(error == doctest::Approx(at_four / 16).epsilon(0.03));
  }
}

TEST_CASE("a ReLU's signs decode to where it is above zero, in an eighth of a byte an element") {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    const at::Tensor x = random_tensor({3, 5, 7, 3}, type).relu();
    for (const at::Tensor& y : {x, x.contiguous(at::MemoryFormat::ChannelsLast)}) {
      const Packed parts = sign_codec()->encode(y, {});
      REQUIRE(parts.size() == 1);
      CHECK(parts[0].tensor.nbytes() == (315 + 7) / 8);
      CHECK(sign_codec()->decode({parts[0].tensor}, described(y)).equal(y.gt(0)));
      const at::Tensor meta = sign_codec()->encode(y.to(at::kMeta), {})[0].tensor;
      CHECK(meta.nbytes() == parts[0].tensor.nbytes());
    }
  }
  const at::Tensor odd = at::tensor({0.0F, -0.0F, 1e-45F, INFINITY, NAN, -1.0F});
  const at::Tensor bits = sign_codec()->encode(odd, {})[0].tensor;
  CHECK(bits.item<std::uint8_t>() == 0b011100);
}

}  // namespace
}  // namespace sbp::dropit
