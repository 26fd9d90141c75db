#include "experiments/training/trainer.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

#include "experiments/codecs.h"
#include "experiments/training/gradients.h"
#include "profiler/torch/meta_errors.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// What was asked of a CUDA device is done when this returns.
void wait_for(at::Device device) {
  if (!device.is_cuda()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

class Stopwatch {
 public:
  explicit Stopwatch(at::Device device) : device_(device) {}

  double lap() {
    wait_for(device_);
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  at::Device device_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Where a batch for `device` is written. On Meta the values stay behind.
at::Device written_on(at::Device device) {
  return device.is_meta() ? device : at::Device(at::kCPU);
}

template <typename Value>
at::Tensor to_tensor(const std::vector<Value>& values, std::vector<std::int64_t> shape,
                     at::ScalarType dtype, at::Device device) {
  at::Tensor tensor = at::empty(shape, at::dtype(dtype).device(written_on(device)));
  if (tensor.is_cpu()) {
    std::memcpy(tensor.data_ptr(), values.data(), values.size() * sizeof(Value));
  }
  return tensor.to(device);
}

// [size, classes]. The data may have fewer classes than the model: the others are not targets.
at::Tensor dense_targets(const Batch& batch, std::int64_t classes, at::Device device) {
  const std::int64_t given = batch.target_classes;
  if (given > classes) {
    throw Error(concat("targets of ", given, " classes for a model of ", classes));
  }
  at::Tensor targets =
      at::empty({batch.size, classes}, at::dtype(at::kFloat).device(written_on(device)));
  if (device.is_meta()) return targets;
  float* row = targets.data_ptr<float>();
  for (std::int64_t i = 0; i < batch.size; ++i, row += classes) {
    std::fill(std::copy_n(batch.targets.data() + i * given, given, row), row + classes, 0.0F);
  }
  return targets.to(device);
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
      execution_(model.sites(), plan, masks,
                 {.codecs = codecs_of(plan), .precision = options.precision}),
      loss_layer_(model.sites().layers().add("loss", "loss")),
      optimizer_layer_(model.sites().layers().add("optimizer", "optimizer")),
      mean_kept_rows_(plan.groups.size()) {
  if (options.precision.low == at::kHalf) loss_scaler_.emplace();
  if (options.ema_decay > 0.0) average_.emplace(model, options.ema_decay);
}

at::Tensor Trainer::loss_of(const at::Tensor& logits, const at::Tensor& targets) {
  const ScopedLayer scope(loss_layer_);
  return at::cross_entropy_loss(options_.precision.loss_input(logits), targets, {},
                                at::Reduction::Mean, -100, options_.label_smoothing);
}

void Trainer::load(const Batch& batch, Tensors& tensors) const {
  const ImageGeometry& input = model_.input();
  tensors.images = to_tensor(batch.images, {batch.size, input.channels, input.height, input.width},
                             at::kFloat, options_.device)
                       .to(model_.parameters().front().value.scalar_type());
  tensors.targets =
      batch.target_classes > 0
          ? dense_targets(batch, input.classes, options_.device).to(tensors.images.scalar_type())
          : to_tensor(batch.labels, {batch.size}, at::kLong, options_.device);
}

void Trainer::run_batch(const Batch& batch, std::int64_t index, std::int64_t step, Tensors& tensors,
                        StepResult& result, const StepHooks& hooks) {
  Stopwatch part(options_.device);
  const auto count = static_cast<double>(options_.accumulate);
  // Before the next ones are made.
  tensors.images.reset();
  tensors.targets.reset();
  if (!options_.names_live_on) tensors = {};
  load(batch, tensors);
  if (hooks.batch_ready) hooks.batch_ready(tensors.images, tensors.targets);
  begin_batch(step * options_.accumulate + index, batch.size);
  const std::vector<std::int64_t> kept = execution_.kept_rows();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    mean_kept_rows_[i] += static_cast<double>(kept[i]) / count;
  }
  part.lap();

  if (hooks.phase) hooks.phase(Phase::forward);
  at::Tensor logits = model_.forward(execution_, tensors.images);
  if (options_.names_live_on) tensors.logits = logits;
  tensors.loss = loss_of(logits, tensors.targets);
  logits.reset();
  const double loss =
      computes() ? tensors.loss.item<double>() : std::numeric_limits<double>::quiet_NaN();
  result.loss += loss / count;
  result.seconds.forward += part.lap();
  if (hooks.forward_ended) hooks.forward_ended();
  if (options_.stop_at_non_finite && computes() && !std::isfinite(loss)) {
    result.problem = concat("the loss is ", loss);
    return;
  }

  if (hooks.phase) hooks.phase(Phase::backward);
  if (options_.zero_grad == ZeroGrad::before_backward && index == 0) optimizer_.zero_grad();
  backward(options_.accumulate == 1 ? tensors.loss : tensors.loss.div(count));
  execution_.end_step();
  result.seconds.backward += part.lap();
  if (hooks.gradients_ready) hooks.gradients_ready();
}

void Trainer::backward(const at::Tensor& loss) const {
  if (loss_scaler_) {
    torch::autograd::backward({loss}, {loss_scaler_->root_gradient(loss)});
  } else {
    torch::autograd::backward({loss});
  }
}

void Trainer::update(double learning_rate, StepResult& result) {
  const ScopedLayer scope(optimizer_layer_);
  result.skipped = loss_scaler_ && !loss_scaler_->unscale(model_.parameters());
  if (result.skipped) return;
  const at::Tensor norm = gradient_norm(model_.parameters());
  if (norm.defined() && options_.stop_at_non_finite && computes() &&
      !std::isfinite(norm.item<double>())) {
    const std::string name = first_non_finite_gradient(model_.parameters());
    result.problem = name.empty() ? "the norm of all gradients is not finite"
                                  : concat("the gradient of '", name, "' is not finite");
    return;
  }
  if (norm.defined() && options_.clip_norm > 0.0) {
    clip_gradients(model_.parameters(), norm, options_.clip_norm);
  }
  optimizer_.step(learning_rate);
  if (average_) average_->update();
}

StepResult Trainer::step(const NextBatch& next, std::int64_t step, double learning_rate,
                         const StepHooks& hooks) {
  try {
    return make_step(next, step, learning_rate, hooks);
  } catch (const c10::Error& error) {
    const auto name = computes() ? std::nullopt : profiler::operator_that_needs_values(error);
    if (!name) throw;
    throw NeedsValues(concat("a dry run, which computes no values, cannot go past '", *name,
                             "': what it gives depends on them; use --device cpu"));
  }
}

StepResult Trainer::make_step(const NextBatch& next, std::int64_t step, double learning_rate,
                              const StepHooks& hooks) {
  Stopwatch whole(options_.device);
  StepResult result;
  Tensors own;
  Tensors& tensors = options_.names_live_on ? last_ : own;
  std::ranges::fill(mean_kept_rows_, 0.0);
  if (options_.zero_grad == ZeroGrad::start) optimizer_.zero_grad();
  for (std::int64_t index = 0; index < options_.accumulate && result.problem.empty(); ++index) {
    result.seconds.step += whole.lap();
    const Batch& batch = next(index);
    whole.lap();
    if (index > 0 && hooks.phase) hooks.phase(Phase::setup);
    run_batch(batch, index, step, tensors, result, hooks);
  }
  if (!result.problem.empty()) return result;

  Stopwatch part(options_.device);
  if (hooks.phase) hooks.phase(Phase::optimizer_step);
  update(learning_rate, result);
  result.seconds.optimizer = part.lap();
  if (!result.problem.empty()) return result;
  if (hooks.updated) hooks.updated();
  if (options_.zero_grad == ZeroGrad::end) optimizer_.zero_grad();
  result.seconds.step += whole.lap();
  return result;
}

StepResult Trainer::step(const Batch& batch, std::int64_t step, double learning_rate,
                         const StepHooks& hooks) {
  return this->step([&batch](std::int64_t) -> const Batch& { return batch; }, step, learning_rate,
                    hooks);
}

StepResult Trainer::gradient(const Batch& batch, const GradientOptions& options) {
  if (loss_scaler_) throw Error("a gradient alone is not taken in fp16, where the loss is scaled");
  Tensors tensors;
  load(batch, tensors);
  optimizer_.zero_grad();
  execution_.begin_step({.step = options.step,
                         .mask_step = options.mask_step,
                         .training = true,
                         .device = options_.device,
                         .seed = options_.seed,
                         .batch = batch.size,
                         .move_statistics = false,
                         .observer = options.observer});
  tensors.loss = loss_of(model_.forward(execution_, tensors.images), tensors.targets);
  StepResult result;
  result.loss = tensors.loss.item<double>();
  if (!std::isfinite(result.loss)) {
    result.problem = concat("the loss is ", result.loss);
    return result;
  }
  backward(tensors.loss);
  execution_.end_step();
  if (const std::string name = first_non_finite_gradient(model_.parameters()); !name.empty()) {
    result.problem = concat("the gradient of '", name, "' is not finite");
  }
  return result;
}

void Trainer::begin_batch(std::int64_t index, std::int64_t samples) {
  execution_.begin_step({.step = static_cast<std::uint32_t>(index),
                         .training = true,
                         .device = options_.device,
                         .seed = options_.seed,
                         .batch = samples});
}

void Trainer::resume_after(std::int64_t steps, std::int64_t batch) {
  if (options_.zero_grad != ZeroGrad::end) {
    for (const Parameter& parameter : model_.parameters()) {
      parameter.value.mutable_grad() = at::zeros_like(parameter.value);
    }
  }
  begin_batch(steps * options_.accumulate - 1, batch);
}

reports::Evaluation Trainer::evaluate(Loader& loader, const std::function<bool()>& interrupted) {
  const c10::NoGradGuard no_grad;
  const ImageGeometry& input = model_.input();
  reports::Evaluation total;
  std::uint32_t batches = 0;
  loader.start_epoch(0);
  while (std::optional<Batch> batch = loader.next()) {
    if (interrupted && interrupted()) break;
    const at::Tensor images =
        to_tensor(batch->images, {batch->size, input.channels, input.height, input.width},
                  at::kFloat, options_.device);
    const at::Tensor labels = to_tensor(batch->labels, {batch->size}, at::kLong, options_.device);
    // Steps of their own, so that masks in evaluation are none of training's.
    constexpr std::uint32_t kEvaluation = std::uint32_t{1} << 31;
    execution_.begin_step({.step = kEvaluation + batches++,
                           .training = false,
                           .device = options_.device,
                           .seed = options_.seed,
                           .batch = batch->size});
    const at::Tensor logits =
        options_.precision.loss_input(model_.forward(execution_, images)).contiguous();
    execution_.end_step();
    const double loss =
        at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).item<double>();
    total.loss += loss;
    const at::Tensor on_cpu = logits.cpu();
    const float* values = on_cpu.const_data_ptr<float>();
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
  const LossScale& state = trainer.loss_scaler()->state();
  return concat("fp16 gradients overflowed: ", state.skipped_steps,
                state.skipped_steps == 1 ? " step" : " steps",
                " made no update; the loss scale ended at ", state.scale);
}

}  // namespace sbp::experiments
