#include "experiments/runs/dry_trainer.h"

namespace sbp::experiments {
namespace {

TrainerOptions dry_options(const ResolvedRun& run, ZeroGrad zero_grad) {
  TrainerOptions options = trainer_options(run);
  options.device = at::kMeta;
  options.zero_grad = zero_grad;
  return options;
}

}  // namespace

DryTrainer::DryTrainer(const ResolvedRun& run, ZeroGrad zero_grad)
    : model_(make_model(run, /*on_meta=*/true)),
      plan_(make_plan(run, *model_)),
      masks_(run.options.seed),
      optimizer_(make_optimizer(run.optimizer, model_->parameters())),
      trainer_(*model_, plan_, masks_, *optimizer_, dry_options(run, zero_grad)),
      batch_(batch_without_values(run)) {
  for (int step = 0; step < 2; ++step) trainer_.step(batch_, step, 0.0);
}

}  // namespace sbp::experiments
