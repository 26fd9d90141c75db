// How faithful a training run's gradients are while it goes on (--fidelity-every).
#pragma once

#include <optional>
#include <vector>

#include "experiments/fidelity/fidelity_tally.h"
#include "experiments/training/trainer.h"
#include "reports/report.h"

namespace sbp::experiments {

class TrainingFidelity {
 public:
  // All but `options` must outlive it; those of the run.
  TrainingFidelity(Model& model, MaskSource& masks, Optimizer& optimizer,
                   const TrainerOptions& options);

  // The gradient that `trainer` is about to take of these batches in this step, against the exact
  // one. Nothing where one of them is not finite: the step will say so. Leaves gradients where
  // there were some, and nothing else changed.
  std::optional<reports::FidelityPoint> measure(const std::vector<Batch>& batches,
                                                std::int64_t step, Trainer& trainer);

 private:
  // Empty where something is not finite.
  std::vector<at::Tensor> mean_gradient(const std::vector<Batch>& batches, std::int64_t step,
                                        Trainer& trainer) const;

  Model& model_;
  Optimizer& optimizer_;
  Plan full_plan_;
  Trainer exact_;
  FidelityScopes scopes_;
};

}  // namespace sbp::experiments
