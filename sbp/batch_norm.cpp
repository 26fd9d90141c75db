#include "sbp/batch_norm.h"

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "sbp/base/error.h"
#include "sbp/saved.h"

namespace sbp {
namespace {

namespace autograd = torch::autograd;

// Legend: B batch, C channels, P pixels, k kept pixels.

// [C] -> [1, C, 1], to go with [B, C, k].
at::Tensor by_channel(const at::Tensor& values) {
  return values.unsqueeze(0).unsqueeze(2);
}

// [B, C, height, width] -> [B, C, k].
at::Tensor kept_pixels(const at::Tensor& x, const at::Tensor& kept) {
  return at::index_select(x.flatten(2), 2, kept);
}

struct KeptBatchNormBackward : autograd::Node {
  explicit KeptBatchNormBackward(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    autograd::variable_list result(3);
    if (!gradients[0].defined()) return result;
    const at::Tensor index = kept.unpack(), inverse = by_channel(inverse_deviation.unpack());
    const at::Tensor dy = kept_pixels(gradients[0], index).to(inverse.scalar_type());
    const at::Tensor normed = input.unpack().sub(by_channel(mean.unpack())).mul_(inverse);
    const at::Tensor sum = dy.sum({0, 2}), weighted_sum = dy.mul(normed).sum({0, 2});
    if (task_should_compute_output(0)) {
      const double values = static_cast<double>(sizes[0] * sizes[2] * sizes[3]);  // a channel
      const at::Tensor dx = dy.sub(by_channel(sum.div(values)))
                                .sub_(normed.mul(by_channel(weighted_sum.div(values))))
                                .mul_(by_channel(weight.unpack()).mul(inverse));
      at::Tensor all = at::zeros({sizes[0], sizes[1], sizes[2] * sizes[3]}, gradients[0].options());
      all.index_copy_(2, index, dx.to(all.scalar_type()));
      result[0] = all.view(sizes);
    }
    if (task_should_compute_output(1)) result[1] = weighted_sum;
    if (task_should_compute_output(2)) result[2] = sum;
    return result;
  }
  void release_variables() override {
    for (auto* saved : {&input, &weight, &mean, &inverse_deviation, &kept}) saved->reset_data();
  }
  std::string name() const override { return "KeptBatchNormBackward"; }

  autograd::SavedVariable input, weight, mean, inverse_deviation, kept;
  std::vector<std::int64_t> sizes;  // of the whole input
};

at::Tensor kept_batch_norm(const at::Tensor& x, const BatchNorm& norm, bool update,
                           const StepRows& pixels) {
  const bool recording = autograd::compute_requires_grad(x, norm.weight, norm.bias);
  const c10::NoGradGuard no_grad;
  const std::optional<at::Tensor> none;
  auto [y, mean, inverse_deviation] = at::native_batch_norm(
      x, norm.weight, norm.bias, update ? std::optional(norm.running_mean) : none,
      update ? std::optional(norm.running_var) : none, /*training=*/true, norm.momentum,
      norm.epsilon);
  if (!recording) return y;
  auto node = c10::make_intrusive<KeptBatchNormBackward>(
      autograd::collect_next_edges(x, norm.weight, norm.bias));
  node->input = save_for_backward(kept_pixels(x, pixels.kept), SaveLabel::value);
  node->weight = save_for_backward(norm.weight, SaveLabel::value);
  node->mean = save_for_backward(mean, SaveLabel::value);
  node->inverse_deviation = save_for_backward(inverse_deviation, SaveLabel::value);
  node->kept = save_for_backward(pixels.kept, SaveLabel::index);
  node->sizes = x.sizes().vec();
  autograd::set_history(y, node);
  return y;
}

}  // namespace

at::Tensor batch_norm(const at::Tensor& x, const BatchNorm& norm, NormStatistics statistics,
                      const StepRows* pixels) {
  if (pixels != nullptr) {
    if (statistics == NormStatistics::running || x.dim() != 4 ||
        pixels->rows() != x.size(2) * x.size(3)) {
      throw Error(concat("batch norm of ", x.sizes(), " cannot keep ", pixels->kept.size(0), " of ",
                         pixels->rows(),
                         " pixels; it takes [batch, channels, height, width], all of whose pixels "
                         "are split, and statistics of the batch"));
    }
    return kept_batch_norm(x, norm, statistics == NormStatistics::batch_and_update, *pixels);
  }
  const bool uses_running = statistics != NormStatistics::batch;
  const std::optional<at::Tensor> none;
  return at::batch_norm(x, norm.weight, norm.bias,
                        uses_running ? std::optional(norm.running_mean) : none,
                        uses_running ? std::optional(norm.running_var) : none,
                        /*training=*/statistics != NormStatistics::running, norm.momentum,
                        norm.epsilon, /*cudnn_enabled=*/true);
}

}  // namespace sbp
