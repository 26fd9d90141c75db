#include <ATen/core/Tensor.h>
#include <ATen/ops/_adaptive_avg_pool2d.h>
#include <ATen/ops/_adaptive_avg_pool2d_backward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/native_dropout.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/where.h>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "sbp/base/error.h"
#include "tests/torch/profiler/traced.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::profiler::test {
namespace {

using at::Tensor;

// Everything about a tensor that takes memory or decides what later operators allocate.
std::string form(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  return concat(at::toString(tensor.scalar_type()), " sizes ", tensor.sizes(), " strides ",
                tensor.strides(), " offset ", tensor.storage_offset(), " storage ",
                tensor.storage().nbytes());
}

Tensor on_meta(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kMeta));
}

std::optional<Tensor> optional(const Tensor& tensor) {
  return tensor.defined() ? std::optional<Tensor>(tensor) : std::nullopt;
}

void same_forms(const Tensor& cpu, const Tensor& meta) {
  CHECK(form(cpu) == form(meta));
}

template <typename... T>
void same_forms(const std::tuple<T...>& cpu, const std::tuple<T...>& meta) {
  const auto each = [&]<std::size_t... I>(std::index_sequence<I...>) {
    (same_forms(std::get<I>(cpu), std::get<I>(meta)), ...);
  };
  each(std::index_sequence_for<T...>());
}

// Calls `body` with the tensors as they are and with their twins on Meta.
template <typename Body, typename... T>
auto both(const Body& body, const T&... tensors) {
  const auto cpu = body(tensors...);
  const auto meta = body(on_meta(tensors)...);
  same_forms(cpu, meta);
  return cpu;
}

struct Convolution {
  std::vector<std::int64_t> input;
  std::vector<std::int64_t> weight;
  bool bias;
  std::vector<std::int64_t> stride;
  std::vector<std::int64_t> padding;
  std::vector<std::int64_t> dilation;
  std::int64_t groups;
  bool transposed = false;
  std::vector<std::int64_t> output_padding = {0, 0};
};

const std::vector<Convolution> kConvolutions = {
    {{2, 3, 32, 32}, {8, 3, 8, 8}, true, {8, 8}, {0, 0}, {1, 1}, 1},   // patch embedding
    {{1, 1, 28, 28}, {16, 1, 7, 7}, true, {7, 7}, {0, 0}, {1, 1}, 1},  // one grey image
    {{2, 3, 32, 32}, {8, 3, 4, 4}, false, {4, 4}, {0, 0}, {1, 1}, 1},  // stem
    {{2, 16, 9, 7}, {16, 1, 7, 7}, true, {1, 1}, {3, 3}, {1, 1}, 16},  // depthwise
    {{2, 8, 15, 15}, {4, 8, 3, 3}, false, {2, 2}, {1, 1}, {1, 1}, 1},  // residual step
    {{2, 8, 15, 15}, {4, 8, 1, 1}, false, {2, 2}, {0, 0}, {1, 1}, 1},  // its shortcut
    {{1, 2, 5, 5}, {2, 2, 3, 3}, true, {1, 1}, {1, 1}, {1, 1}, 1},     // too small for oneDNN
    {{2, 8, 17, 13}, {6, 4, 3, 2}, true, {1, 2}, {2, 0}, {2, 3}, 2},   // all at once
    {{2, 6, 5, 5}, {6, 4, 3, 3}, true, {2, 2}, {1, 1}, {1, 1}, 2, true, {1, 0}},  // transposed
    {{2, 4, 16}, {6, 4, 3}, true, {2}, {1}, {1}, 1, false, {0}},                  // one axis
    {{2, 3, 6, 8, 8},
     {4, 3, 2, 4, 4},
     true,
     {2, 4, 4},
     {0, 0, 0},
     {1, 1, 1},
     1,
     false,
     {0, 0, 0}},  // video patches
};

void compare_convolution(const Convolution& c, at::ScalarType type, bool channels_last) {
  const auto options = at::TensorOptions(type);
  Tensor input = at::rand(c.input, options);
  Tensor weight = at::rand(c.weight, options);
  if (channels_last) input = input.contiguous(at::MemoryFormat::ChannelsLast);
  const std::int64_t channels = c.transposed ? c.weight[1] * c.groups : c.weight[0];
  const Tensor bias = c.bias ? at::rand({channels}, options) : Tensor();
  const Tensor out = both(
      [&](const Tensor& x, const Tensor& w, const Tensor& b) {
        return at::convolution(x, w, optional(b), c.stride, c.padding, c.dilation, c.transposed,
                               c.output_padding, c.groups);
      },
      input, weight, bias);
  both(
      [&](const Tensor& g, const Tensor& x, const Tensor& w) {
        return at::convolution_backward(g, x, w, at::IntArrayRef(channels), c.stride, c.padding,
                                        c.dilation, c.transposed, c.output_padding, c.groups,
                                        {true, true, c.bias});
      },
      at::rand_like(out), input, weight);
  both(
      [&](const Tensor& g, const Tensor& x, const Tensor& w) {
        return at::convolution_backward(g, x, w, at::IntArrayRef(channels), c.stride, c.padding,
                                        c.dilation, c.transposed, c.output_padding, c.groups,
                                        {false, true, false});
      },
      at::rand_like(out), input, weight);
}

TEST_CASE("meta kernels: convolution") {
  for (const Convolution& c : kConvolutions) {
    INFO(concat(at::IntArrayRef(c.input)));
    INFO(concat(at::IntArrayRef(c.weight)));
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      INFO(std::string(at::toString(type)));
      compare_convolution(c, type, false);
      if (c.input.size() == 4) compare_convolution(c, type, true);
    }
  }
}

TEST_CASE("meta kernels: a kernel larger than its padded input is an error") {
  const Tensor input = at::empty({1, 1, 4, 4}, at::TensorOptions(at::kMeta));
  const Tensor weight = at::empty({1, 1, 5, 5}, at::TensorOptions(at::kMeta));
  CHECK_THROWS(
      at::convolution(input, weight, std::nullopt, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1));
}

TEST_CASE("meta kernels: layer norm") {
  struct Case {
    std::vector<std::int64_t> input;
    std::vector<std::int64_t> normalised;
    bool weight;
    bool bias;
    at::ScalarType type;
    at::ScalarType parameter_type;
  };
  const std::vector<Case> cases = {
      {{2, 5, 12}, {12}, true, true, at::kFloat, at::kFloat},
      {{2, 5, 12}, {12}, true, false, at::kFloat, at::kFloat},
      {{2, 5, 12}, {12}, false, false, at::kFloat, at::kFloat},
      {{2, 3, 4, 5}, {4, 5}, true, true, at::kFloat, at::kFloat},
      {{7}, {7}, true, true, at::kFloat, at::kFloat},
      {{2, 5, 12}, {12}, true, true, at::kBFloat16, at::kBFloat16},
      {{2, 5, 12}, {12}, true, true, at::kBFloat16, at::kFloat},
      {{2, 5, 12}, {12}, false, false, at::kBFloat16, at::kBFloat16},
      {{2, 5, 12}, {12}, true, true, at::kDouble, at::kDouble},
  };
  for (const Case& c : cases) {
    INFO(concat(at::IntArrayRef(c.input)));
    INFO(std::string(at::toString(c.type)));
    INFO(std::string(at::toString(c.parameter_type)));
    const auto parameters = at::TensorOptions(c.parameter_type);
    for (const bool transposed : {false, true}) {
      Tensor input = at::rand(c.input, at::TensorOptions(c.type));
      if (transposed && c.input.size() == 3) {
        input = at::rand({c.input[1], c.input[0], c.input[2]}, input.options()).transpose(0, 1);
      }
      const Tensor weight = c.weight ? at::rand(c.normalised, parameters) : Tensor();
      const Tensor bias = c.bias ? at::rand(c.normalised, parameters) : Tensor();
      const auto out = both(
          [&](const Tensor& x, const Tensor& w, const Tensor& b) {
            return at::native_layer_norm(x, c.normalised, optional(w), optional(b), 1e-6);
          },
          input, weight, bias);
      both(
          [&](const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
              const Tensor& w, const Tensor& b) {
            return at::native_layer_norm_backward(g, x, c.normalised, mean, rstd, optional(w),
                                                  optional(b), {true, c.weight, c.bias});
          },
          at::rand_like(std::get<0>(out)), input, std::get<1>(out), std::get<2>(out), weight, bias);
    }
  }
}

struct Qkv {
  Tensor q;
  Tensor k;
  Tensor v;
};

// The ways in which models come by them: B 2, H 4, N 9, D 8.
std::vector<Qkv> attention_inputs(const at::TensorOptions& options) {
  const Tensor packed = at::rand({2, 9, 3, 4, 8}, options).permute({2, 0, 3, 1, 4});
  const Tensor tokens_outside = at::rand({2, 9, 4, 8}, options).transpose(1, 2);
  const Tensor many_rows = at::rand({2, 4, 20, 8}, options);
  const Tensor keys = at::rand({2, 4, 5, 8}, options);
  return {{packed[0], packed[1], packed[2]},
          {at::rand({2, 4, 9, 8}, options), keys, at::rand({2, 4, 5, 8}, options)},
          {tokens_outside, keys, keys},
          {many_rows.slice(2, 3, 12), many_rows, many_rows}};
}

TEST_CASE("meta kernels: flash attention") {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const Qkv& inputs : attention_inputs(at::TensorOptions(type))) {
      INFO(form(inputs.q));
      const auto out = both(
          [](const Tensor& q, const Tensor& k, const Tensor& v) {
            return at::_scaled_dot_product_flash_attention_for_cpu(q, k, v);
          },
          inputs.q, inputs.k, inputs.v);
      const Tensor sums = std::get<1>(out);
      CHECK(sums.sizes().vec() == std::vector<std::int64_t>{2, 4, 9});
      CHECK((sums.scalar_type() == (type == at::kDouble ? at::kDouble : at::kFloat)));
      both(
          [](const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v,
             const Tensor& output, const Tensor& log_sums) {
            return at::_scaled_dot_product_flash_attention_for_cpu_backward(g, q, k, v, output,
                                                                            log_sums, 0.0, false);
          },
          at::rand_like(std::get<0>(out)), inputs.q, inputs.k, inputs.v, std::get<0>(out), sums);
    }
  }
}

TEST_CASE("meta kernels: batch norm") {
  for (const bool training : {true, false}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      for (const bool channels_last : {false, true}) {
        CAPTURE(training);
        INFO(std::string(at::toString(type)));
        CAPTURE(channels_last);
        Tensor input = at::rand({3, 6, 4, 5}, at::TensorOptions(type));
        if (channels_last) input = input.contiguous(at::MemoryFormat::ChannelsLast);
        const Tensor weight = at::rand({6});
        const Tensor bias = at::rand({6});
        const Tensor mean = at::rand({6});
        const Tensor variance = at::rand({6});
        const auto out = both(
            [&](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& m,
                const Tensor& s) {
              return at::native_batch_norm(x, w, b, m, s, training, 0.1, 1e-5);
            },
            input, weight, bias, mean, variance);
        both(
            [&](const Tensor& g, const Tensor& x, const Tensor& w, const Tensor& m, const Tensor& s,
                const Tensor& saved_mean, const Tensor& saved_rstd) {
              return at::native_batch_norm_backward(g, x, w, m, s, saved_mean, saved_rstd, training,
                                                    1e-5, {true, true, true});
            },
            at::rand_like(std::get<0>(out)), input, weight, mean, variance, std::get<1>(out),
            std::get<2>(out));
      }
    }
  }
}

TEST_CASE("meta kernels: operators that move or choose") {
  const Tensor x = at::rand({2, 6, 4, 5});
  const Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast);
  const Tensor index = at::randint(4, {7}, at::TensorOptions(at::kLong));
  for (const Tensor& tensor : {x, last, x.transpose(1, 3)}) {
    both([](const Tensor& t, const Tensor& i) { return at::index_select(t, 1, i); }, tensor, index);
    both([](const Tensor& t, const Tensor& i) { return at::index_select(t, -2, i); }, tensor,
         index);
    both([](const Tensor& t) { return at::roll(t, {1, 2}, {2, 3}); }, tensor);
    both([](const Tensor& t) { return at::flip(t, {3}); }, tensor);
    both([](const Tensor& t) { return at::relu(t); }, tensor);
    both([](const Tensor& t) { return at::native_dropout(t, 0.25, true); }, tensor);
    both([](const Tensor& t) { return at::_adaptive_avg_pool2d(t, {2, 3}); }, tensor);
    const Tensor pooled = at::_adaptive_avg_pool2d(tensor, {2, 3});
    both([](const Tensor& g, const Tensor& t) { return at::_adaptive_avg_pool2d_backward(g, t); },
         pooled, tensor);
    const Tensor mask = tensor.gt(0.5);
    both([](const Tensor& m, const Tensor& a, const Tensor& b) { return at::where(m, a, b); }, mask,
         tensor, at::rand({5, 1}).transpose(0, 1).select(1, 0).view({1}));
    both([](const Tensor& m, const Tensor& a, const Tensor& b) { return at::where(m, a, b); }, mask,
         tensor, at::rand({1}, at::TensorOptions(at::kDouble)));
  }
}

TEST_CASE("meta kernels: arange has a block of its own") {
  const auto meta = at::TensorOptions(at::kMeta);
  const std::int64_t before = live_bytes(kMeta);
  const Tensor counted = at::arange(10, meta);
  CHECK(live_bytes(kMeta) - before == 80);
  same_forms(at::arange(10), counted);
  same_forms(at::arange(1.5, 4), at::arange(1.5, 4, meta));
  same_forms(at::arange(7, 0, -2), at::arange(7, 0, -2, meta));
  same_forms(at::arange(0, 5, at::TensorOptions(at::kHalf)),
             at::arange(0, 5, meta.dtype(at::kHalf)));
}

}  // namespace
}  // namespace sbp::profiler::test
