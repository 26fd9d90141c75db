// A run on Meta, which computes nothing: its sizes and lifetimes are those of the real one.
#pragma once

#include <memory>

#include "experiments/runs/run_setup.h"
#include "experiments/training/trainer.h"

namespace sbp::experiments {

struct DryOptions {
  ZeroGrad zero_grad = ZeroGrad::start;
  bool names_live_on = false;  // TrainerOptions
  int steps = 2;               // made at once; two, so that the optimizer's state exists
};

class DryTrainer {
 public:
  DryTrainer(const ResolvedRun& run, const DryOptions& options);

  Model& model() { return *model_; }
  const Plan& plan() const { return plan_; }
  Optimizer& optimizer() { return *optimizer_; }
  Trainer& trainer() { return trainer_; }
  const Batch& batch() const { return batch_; }

 private:
  std::unique_ptr<Model> model_;
  Plan plan_;
  KeyedMaskSource masks_;
  std::unique_ptr<Optimizer> optimizer_;
  Trainer trainer_;
  Batch batch_;
};

}  // namespace sbp::experiments
