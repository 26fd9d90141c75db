// One model under one plan: training steps and evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/data/loader.h"
#include "experiments/models/model.h"
#include "experiments/runs/run_options.h"
#include "experiments/training/loss_scaler.h"
#include "experiments/training/model_average.h"
#include "experiments/training/optimizer.h"
#include "reports/report.h"
#include "sbp/base/error.h"
#include "sbp/execution.h"

namespace sbp::experiments {

// A step on Meta came to an operator that needs values.
class NeedsValues : public Error {
 public:
  using Error::Error;
};

// Seconds of one step's parts, summed over its batches; waiting for them is not in it.
struct StepDurations {
  double step = 0.0;
  double forward = 0.0;
  double backward = 0.0;
  double optimizer = 0.0;
};

struct StepResult {
  double loss = 0.0;     // mean over the step's batches; NaN on Meta, where nothing is computed
  bool skipped = false;  // no update was made: fp16 gradients overflowed
  // What was not finite, and first so: "the loss is nan". Then no update was made.
  std::string problem;
  StepDurations seconds;
};

// Told of the moments of a step, in order, those up to `gradients_ready` once a batch; every
// member may be empty.
struct StepHooks {
  // `targets`: classes [batch], or dense targets [batch, classes].
  std::function<void(const at::Tensor& images, const at::Tensor& targets)> batch_ready;
  std::function<void(Phase phase)> phase;
  std::function<void()> forward_ended;    // before backward
  std::function<void()> gradients_ready;  // after backward, before any gradient is dropped
  std::function<void()> updated;          // after the optimizer, before gradients are dropped
};

// What the gradient of a batch is keyed by.
struct GradientOptions {
  std::uint32_t step = 0;       // of drop path and dropout
  std::uint32_t mask_step = 0;  // of masks, and of what codes sample
  StepObserver* observer = nullptr;
};

struct TrainerOptions {
  at::Device device = at::kCPU;
  ZeroGrad zero_grad = ZeroGrad::start;
  double label_smoothing = 0.0;
  std::uint64_t seed = 0;       // of drop path and dropout
  Precision precision = {};     // kHalf: with loss scaling
  std::int64_t accumulate = 1;  // batches whose gradients make one update
  double clip_norm = 0.0;       // of all gradients together, at most; 0: as they are
  double ema_decay = 0.0;       // of the averaged weights; 0: none are kept
  // Logits and loss live on until the next step has made its own, as the names of a Python loop do
  // (whose batch dies when the loader's next one takes its names); else they die with the step.
  bool names_live_on = false;
  // A loss or gradient that is not finite makes no update. Never on Meta.
  bool stop_at_non_finite = true;
};

// Gives batch `index` of a step, counted from 0.
using NextBatch = std::function<const Batch&(std::int64_t index)>;

class Trainer {
 public:
  // All four must outlive the trainer.
  Trainer(Model& model, const Plan& plan, MaskSource& masks, Optimizer& optimizer,
          const TrainerOptions& options);

  // One update, from the mean gradient of `accumulate` batches of one size. `step` counts updates
  // from 0; masks are keyed by step * accumulate + index, so that no two batches share one. Throws
  // NeedsValues where it cannot be made on Meta.
  StepResult step(const NextBatch& next, std::int64_t step, double learning_rate,
                  const StepHooks& hooks = {});
  // The same batch each time.
  StepResult step(const Batch& batch, std::int64_t step, double learning_rate,
                  const StepHooks& hooks = {});

  // Puts the gradient of one batch in the parameters, in place of any that was there, and leaves
  // everything else as it was: no update is made and running statistics stay. Gives the loss, and
  // what was not finite. Not for fp16, whose gradients are scaled: throws Error.
  StepResult gradient(const Batch& batch, const GradientOptions& options);

  // Makes what `steps` steps would have left behind and the next one drops: gradients (here zeros)
  // and the last masks, of `batch` samples. A traced step then has the same books as without an
  // interruption.
  void resume_after(std::int64_t steps, std::int64_t batch);

  // Over a whole epoch of `loader`, on the plain path. Stops early when `interrupted`.
  reports::Evaluation evaluate(Loader& loader, const std::function<bool()>& interrupted = {});

  // Rows that each mask group of the plan kept: in the last batch, and on average over the
  // batches of the last step.
  std::vector<std::int64_t> kept_rows() const { return execution_.kept_rows(); }
  const std::vector<double>& mean_kept_rows() const { return mean_kept_rows_; }

  // Of codes, over the steps so far.
  std::vector<std::string> code_warnings() const { return execution_.warnings(); }

  // The averaged weights; nullptr where none are kept.
  ModelAverage* average() { return average_ ? &*average_ : nullptr; }
  const ModelAverage* average() const { return average_ ? &*average_ : nullptr; }

  // The 16-bit copy of a weight between a step's forward and backward; undefined where it has none.
  at::Tensor weight_copy(const at::Tensor& weight) const { return execution_.weight_copy(weight); }

  // For fp16 only, else absent.
  std::optional<LossScaler>& loss_scaler() { return loss_scaler_; }
  const std::optional<LossScaler>& loss_scaler() const { return loss_scaler_; }

 private:
  StepResult make_step(const NextBatch& next, std::int64_t step, double learning_rate,
                       const StepHooks& hooks);
  // What one batch leaves alive until the next one, or to the end of the step.
  struct Tensors {
    at::Tensor images, targets, logits, loss;
  };

  at::Tensor loss_of(const at::Tensor& logits, const at::Tensor& targets);
  // Masks and keys of the `index`-th batch of the training.
  void begin_batch(std::int64_t index, std::int64_t samples);
  void load(const Batch& batch, Tensors& tensors) const;
  // Forward and backward of batch `index` of step `step`.
  void run_batch(const Batch& batch, std::int64_t index, std::int64_t step, Tensors& tensors,
                 StepResult& result, const StepHooks& hooks);
  void backward(const at::Tensor& loss) const;
  void update(double learning_rate, StepResult& result);
  bool computes() const { return !options_.device.is_meta(); }

  Model& model_;
  Optimizer& optimizer_;
  TrainerOptions options_;
  Execution execution_;
  std::optional<LossScaler> loss_scaler_;
  LayerId loss_layer_;
  LayerId optimizer_layer_;
  std::optional<ModelAverage> average_;
  std::vector<double> mean_kept_rows_;
  Tensors last_;  // where names live on
};

// A sentence for the report where fp16 gradients overflowed; else empty.
std::string overflow_warning(const Trainer& trainer);

}  // namespace sbp::experiments
