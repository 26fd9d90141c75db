#include "tests/torch/experiments/plain_resnet.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

#include "sbp/base/error.h"

namespace sbp::tests {
namespace {

using experiments::ResNetOptions;
using experiments::ResNetStage;
using experiments::ResNetStem;

struct Conv {
  std::string name;
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t groups = 1;
};

at::Tensor conv(const NamedTensors& t, const at::Tensor& x, const Conv& c) {
  return at::conv2d(x, t.at(c.name + ".weight"), {}, c.stride, c.padding, 1, c.groups);
}

at::Tensor norm(const NamedTensors& t, const at::Tensor& x, const std::string& name) {
  return at::batch_norm(x, t.at(name + ".weight"), t.at(name + ".bias"),
                        t.at(name + ".running_mean"), t.at(name + ".running_var"), true, 0.1, 1e-5,
                        false);
}

at::Tensor relu_in_place(at::Tensor x) {
  return at::relu_(x);
}

at::Tensor block(const NamedTensors& t, const at::Tensor& x, const std::string& name,
                 bool bottleneck, const ResNetStage& stage, std::int64_t stride) {
  at::Tensor y;
  const std::int64_t groups = stage.groups;
  if (bottleneck) {
    y = relu_in_place(norm(t, conv(t, x, {name + ".conv1"}), name + ".bn1"));
    y = relu_in_place(norm(t, conv(t, y, {name + ".conv2", stride, 1, groups}), name + ".bn2"));
    y = norm(t, conv(t, y, {name + ".conv3"}), name + ".bn3");
  } else {
    y = relu_in_place(norm(t, conv(t, x, {name + ".conv1", stride, 1, groups}), name + ".bn1"));
    y = norm(t, conv(t, y, {name + ".conv2", 1, 1, groups}), name + ".bn2");
  }
  at::Tensor shortcut = x;
  if (t.contains(name + ".downsample.0.weight")) {
    shortcut = norm(t, conv(t, x, {name + ".downsample.0", stride}), name + ".downsample.1");
  }
  y.add_(shortcut);
  return relu_in_place(y);
}

}  // namespace

NamedTensors copy_tensors(const experiments::Model& model) {
  NamedTensors copies;
  for (const auto& parameter : model.parameters()) {
    copies[parameter.name] = parameter.value.detach().clone().requires_grad_(true);
  }
  for (const auto& buffer : model.buffers()) copies[buffer.name] = buffer.value.clone();
  return copies;
}

at::Tensor plain_resnet(const NamedTensors& t, const ResNetOptions& options,
                        const at::Tensor& images) {
  const bool small = options.stem == ResNetStem::small;
  at::Tensor x = conv(t, images, {"conv1", small ? 1 : 2, small ? 1 : 3});
  x = relu_in_place(norm(t, x, "bn1"));
  if (!small) x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
  for (std::size_t i = 0; i < options.stages.size(); ++i) {
    const ResNetStage& stage = options.stages[i];
    for (std::int64_t j = 0; j < stage.depth; ++j) {
      x = block(t, x, concat("layer", i + 1, ".", j), options.bottleneck, stage,
                j == 0 ? stage.stride : 1);
    }
  }
  x = at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
  return at::linear(x, t.at("fc.weight"), t.at("fc.bias"));
}

}  // namespace sbp::tests
