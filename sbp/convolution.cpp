#include "sbp/convolution.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/pad.h>
#include <ATen/ops/reflection_pad2d_backward.h>
#include <ATen/ops/replication_pad2d_backward.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <array>

#include "sbp/base/words.h"

namespace sbp {
namespace {

namespace autograd = torch::autograd;

std::string_view word_of(PaddingMode mode) {
  constexpr std::array<std::string_view, 4> kWords{"constant", "circular", "reflect", "replicate"};
  return sbp::word_of(kWords, mode);
}

// LibTorch's own node of these paddings saves the whole image, of which it needs the size alone.
struct PadBackward : autograd::Node {
  explicit PadBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    const at::Tensor image = at::empty({1}, gradients[0].options()).expand(sizes);
    const std::array<std::int64_t, 4> sides{padding, padding, padding, padding};
    if (mode == PaddingMode::reflect) {
      return {at::reflection_pad2d_backward(gradients[0], image, sides)};
    }
    return {at::replication_pad2d_backward(gradients[0], image, sides)};
  }
  std::string name() const override { return "PadBackward"; }

  std::vector<std::int64_t> sizes;
  std::int64_t padding = 0;
  PaddingMode mode = PaddingMode::zeros;
};

// Zeros that the convolution itself puts around the image.
std::int64_t own_padding(const Convolution& c) {
  return c.padding_mode == PaddingMode::zeros ? c.padding : 0;
}

at::Tensor convolve(const at::Tensor& image, const Convolution& c) {
  return at::conv2d(image, c.weight, c.bias, c.stride, own_padding(c), c.dilation, c.groups);
}

struct CodedConvolutionBackward : autograd::Node {
  explicit CodedConvolutionBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
    const std::array<bool, 3> wanted{task_should_compute_output(0), task_should_compute_output(1),
                                     task_should_compute_output(2)};
    const at::Tensor w = weight.unpack();
    const CodedTensor& coded = input.coded();
    // Without the weight gradient the image's values do not matter.
    const at::Tensor image =
        wanted[1] ? input.decode() : at::empty_strided(coded.sizes, coded.strides, w.options());
    const std::array<std::int64_t, 2> strides{stride, stride}, paddings{padding, padding},
        dilations{dilation, dilation}, none{0, 0};
    const std::array<std::int64_t, 1> channels{w.size(0)};
    auto [dx, dw, db] = at::convolution_backward(
        gradients[0], image, w, at::OptionalIntArrayRef(channels), strides, paddings, dilations,
        /*transposed=*/false, none, groups, wanted);
    return {dx, dw, db};
  }
  void release_variables() override {
    input.release();
    weight.reset_data();
  }
  std::string name() const override { return "CodedConvolutionBackward"; }

  SavedCode input;
  autograd::SavedVariable weight;
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
};

}  // namespace

at::Tensor padded_image(const at::Tensor& x, const Convolution& c) {
  if (c.padding_mode == PaddingMode::zeros || c.padding == 0) return x;
  const std::array<std::int64_t, 4> sides{c.padding, c.padding, c.padding, c.padding};
  const std::string_view mode = word_of(c.padding_mode);
  const c10::string_view word(mode.data(), mode.size());
  if (c.padding_mode == PaddingMode::circular || !autograd::compute_requires_grad(x)) {
    return at::pad(x, sides, word);
  }
  at::Tensor result;
  {
    const c10::NoGradGuard no_grad;
    result = at::pad(x, sides, word);
  }
  auto node = c10::make_intrusive<PadBackward>(autograd::collect_next_edges(x));
  node->sizes = x.sizes().vec();
  node->padding = c.padding;
  node->mode = c.padding_mode;
  autograd::set_history(result, node);
  return result;
}

at::Tensor convolution_weight_gradient(const at::Tensor& image, const at::Tensor& gradient,
                                       const Convolution& convolution) {
  const auto& c = convolution;
  const std::array<std::int64_t, 2> strides{c.stride, c.stride},
      paddings{own_padding(c), own_padding(c)}, dilations{c.dilation, c.dilation}, none{0, 0};
  const std::array<bool, 3> weight_only{false, true, false};
  return std::get<1>(at::convolution_backward(gradient, image, c.weight, at::OptionalIntArrayRef(),
                                              strides, paddings, dilations, /*transposed=*/false,
                                              none, c.groups, weight_only));
}

at::Tensor conv2d(const at::Tensor& x, const Convolution& convolution) {
  return convolve(padded_image(x, convolution), convolution);
}

at::Tensor coded_conv2d(const at::Tensor& x, const Convolution& convolution, const Coding& coding) {
  const auto& [weight, bias, stride, padding, groups, dilation, mode] = convolution;
  // A frozen weight needs no input kept.
  if (!autograd::compute_requires_grad(weight)) return conv2d(x, convolution);
  const at::Tensor image = padded_image(x, convolution);
  auto node = c10::make_intrusive<CodedConvolutionBackward>(
      autograd::collect_next_edges(image, weight, bias));
  const c10::NoGradGuard no_grad;
  at::Tensor y = convolve(image, convolution);
  node->input.keep(image, coding);
  node->weight = save_for_backward(weight, SaveLabel::value);
  node->stride = stride;
  node->padding = own_padding(convolution);
  node->dilation = dilation;
  node->groups = groups;
  autograd::set_history(y, node);
  return y;
}

}  // namespace sbp
