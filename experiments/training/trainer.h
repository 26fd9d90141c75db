// One model under one plan: training steps and evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "experiments/data/loader.h"
#include "experiments/models/model.h"
#include "experiments/runs/run_options.h"
#include "experiments/training/loss_scaler.h"
#include "experiments/training/optimizer.h"
#include "reports/report.h"
#include "sbp/execution.h"

namespace sbp::experiments {

// Seconds of one step's parts.
struct StepDurations {
  double step = 0.0;
  double forward = 0.0;
  double backward = 0.0;
  double optimizer = 0.0;
};

struct StepResult {
  double loss = 0.0;     // NaN on Meta, where nothing is computed
  bool skipped = false;  // no update was made: fp16 gradients overflowed
  StepDurations seconds;
};

// Told of the moments of a step, in order; every member may be empty.
struct StepHooks {
  std::function<void(const at::Tensor& images, const at::Tensor& labels)> batch_ready;
  std::function<void(Phase phase)> phase;
  std::function<void()> forward_ended;    // before backward
  std::function<void()> gradients_ready;  // after backward, before any gradient is dropped
  std::function<void()> updated;          // after the optimizer, before gradients are dropped
};

struct TrainerOptions {
  at::Device device = at::kCPU;
  ZeroGrad zero_grad = ZeroGrad::start;
  double label_smoothing = 0.0;
  std::uint64_t seed = 0;  // of drop path and dropout
  Precision precision = {};  // kHalf: with loss scaling
};

class Trainer {
 public:
  // All four must outlive the trainer.
  Trainer(Model& model, const Plan& plan, MaskSource& masks, Optimizer& optimizer,
          const TrainerOptions& options);

  // One update on `batch`. `step` counts from 0 and keys what the step draws.
  StepResult step(const Batch& batch, std::int64_t step, double learning_rate,
                  const StepHooks& hooks = {});

  // Over a whole epoch of `loader`, on the plain path. Stops early when `interrupted`.
  reports::Evaluation evaluate(Loader& loader, const std::function<bool()>& interrupted = {});

  // Rows that each mask group of the plan kept in the last step.
  std::vector<std::int64_t> kept_rows() const { return execution_.kept_rows(); }

  // The 16-bit copy of a weight between a step's forward and backward; undefined where it has none.
  at::Tensor weight_copy(const at::Tensor& weight) const { return execution_.weight_copy(weight); }

  // For fp16 only, else absent.
  std::optional<LossScaler>& loss_scaler() { return loss_scaler_; }
  const std::optional<LossScaler>& loss_scaler() const { return loss_scaler_; }

 private:
  at::Tensor forward_loss(const at::Tensor& images, const at::Tensor& labels);

  Model& model_;
  Optimizer& optimizer_;
  TrainerOptions options_;
  Execution execution_;
  std::optional<LossScaler> loss_scaler_;
  LayerId loss_layer_;
  LayerId optimizer_layer_;
};

// A sentence for the report where fp16 gradients overflowed; else empty.
std::string overflow_warning(const Trainer& trainer);

}  // namespace sbp::experiments
