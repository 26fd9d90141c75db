#include "experiments/training/trainer.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// On Meta the values stay behind.
template <typename Value>
at::Tensor to_tensor(const std::vector<Value>& values, std::vector<std::int64_t> shape,
                     at::ScalarType dtype, at::Device device) {
  at::Tensor tensor = at::empty(shape, at::dtype(dtype).device(device));
  if (device.is_cpu()) std::memcpy(tensor.data_ptr(), values.data(), values.size() * sizeof(Value));
  return tensor;
}

// How many of a batch have their class among the `k` largest logits. A tie with the true class
// counts against it, so that constant outputs are not credited.
std::int64_t count_top(const float* logits, const std::vector<std::int64_t>& labels,
                       std::int64_t classes, std::int64_t k) {
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const float* row = logits + static_cast<std::int64_t>(i) * classes;
    const float own = row[labels[i]];
    const auto not_below =
        std::count_if(row, row + classes, [own](float value) { return !(value < own); });
    if (not_below <= k) ++hits;
  }
  return hits;
}

}  // namespace

Trainer::Trainer(Model& model, const Plan& plan, MaskSource& masks, Optimizer& optimizer,
                 const TrainerOptions& options)
    : model_(model),
      optimizer_(optimizer),
      options_(options),
      execution_(model.sites(), plan, masks, {.precision = options.precision}),
      loss_layer_(model.sites().layers().add("loss", "loss")),
      optimizer_layer_(model.sites().layers().add("optimizer", "optimizer")) {
  if (options.precision.low == at::kHalf) loss_scaler_.emplace();
}

at::Tensor Trainer::forward_loss(const at::Tensor& images, const at::Tensor& labels) {
  const at::Tensor logits = model_.forward(execution_, images);
  const ScopedLayer scope(loss_layer_);
  return at::cross_entropy_loss(options_.precision.loss_input(logits), labels, {},
                                at::Reduction::Mean, -100, options_.label_smoothing);
}

StepResult Trainer::step(const Batch& batch, std::int64_t step, double learning_rate,
                         const StepHooks& hooks) {
  const auto enter = [&](Phase phase) {
    if (hooks.phase) hooks.phase(phase);
  };
  const ImageGeometry& input = model_.input();
  Stopwatch whole, part;
  StepResult result;
  if (options_.zero_grad == ZeroGrad::start) optimizer_.zero_grad();
  const at::Tensor images =
      to_tensor(batch.images, {batch.size, input.channels, input.height, input.width}, at::kFloat,
                options_.device);
  const at::Tensor labels = to_tensor(batch.labels, {batch.size}, at::kLong, options_.device);
  if (hooks.batch_ready) hooks.batch_ready(images, labels);
  execution_.begin_step(static_cast<std::uint32_t>(step), true, options_.device, options_.seed);
  part.lap();

  enter(Phase::forward);
  const at::Tensor loss = forward_loss(images, labels);
  result.seconds.forward = part.lap();
  if (hooks.forward_ended) hooks.forward_ended();

  enter(Phase::backward);
  if (options_.zero_grad == ZeroGrad::before_backward) optimizer_.zero_grad();
  if (loss_scaler_) {
    torch::autograd::backward({loss}, {loss_scaler_->root_gradient(loss)});
  } else {
    torch::autograd::backward({loss});
  }
  execution_.end_step();
  result.seconds.backward = part.lap();
  if (hooks.gradients_ready) hooks.gradients_ready();

  enter(Phase::optimizer_step);
  {
    const ScopedLayer scope(optimizer_layer_);
    result.skipped = loss_scaler_ && !loss_scaler_->unscale(model_.parameters());
    if (!result.skipped) optimizer_.step(learning_rate);
  }
  result.seconds.optimizer = part.lap();
  if (hooks.updated) hooks.updated();
  if (options_.zero_grad == ZeroGrad::end) optimizer_.zero_grad();
  result.loss =
      options_.device.is_meta() ? std::numeric_limits<double>::quiet_NaN() : loss.item<double>();
  result.seconds.step = whole.lap();
  return result;
}

reports::Evaluation Trainer::evaluate(Loader& loader, const std::function<bool()>& interrupted) {
  const c10::NoGradGuard no_grad;
  const ImageGeometry& input = model_.input();
  reports::Evaluation total;
  loader.start_epoch(0);
  while (std::optional<Batch> batch = loader.next()) {
    if (interrupted && interrupted()) break;
    const at::Tensor images =
        to_tensor(batch->images, {batch->size, input.channels, input.height, input.width},
                  at::kFloat, options_.device);
    const at::Tensor labels = to_tensor(batch->labels, {batch->size}, at::kLong, options_.device);
    execution_.begin_step(0, false, options_.device);
    const at::Tensor logits =
        options_.precision.loss_input(model_.forward(execution_, images)).contiguous();
    execution_.end_step();
    const double loss =
        at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).item<double>();
    total.loss += loss;
    const float* values = logits.data_ptr<float>();
    total.top1 += static_cast<double>(count_top(values, batch->labels, input.classes, 1));
    total.top5 += static_cast<double>(count_top(values, batch->labels, input.classes, 5));
    total.samples += batch->size;
  }
  if (total.samples > 0) {
    const auto samples = static_cast<double>(total.samples);
    total.loss /= samples;
    total.top1 /= samples;
    total.top5 /= samples;
  }
  return total;
}

std::string overflow_warning(const Trainer& trainer) {
  if (!trainer.loss_scaler() || trainer.loss_scaler()->state().skipped_steps == 0) return {};
  const LossScaler::State& state = trainer.loss_scaler()->state();
  return concat("fp16 gradients overflowed: ", state.skipped_steps,
                state.skipped_steps == 1 ? " step" : " steps",
                " made no update; the loss scale ended at ", state.scale);
}

}  // namespace sbp::experiments
