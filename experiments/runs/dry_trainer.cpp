#include "experiments/runs/dry_trainer.h"

namespace sbp::experiments {
namespace {

TrainerOptions trainer_on_meta(const ResolvedRun& run, const DryOptions& dry) {
  TrainerOptions options = trainer_options(run);
  options.device = at::kMeta;
  options.zero_grad = dry.zero_grad;
  options.names_live_on = dry.names_live_on;
  return options;
}

}  // namespace

DryTrainer::DryTrainer(const ResolvedRun& run, const DryOptions& options)
    : model_(make_model(run, /*on_meta=*/true)),
      plan_(make_plan(run, *model_)),
      masks_(run.options.seed),
      optimizer_(make_optimizer(run.optimizer, model_->parameters())),
      trainer_(*model_, plan_, masks_, *optimizer_, trainer_on_meta(run, options)),
      batch_(batch_without_values(run)) {
  for (int step = 0; step < options.steps; ++step) trainer_.step(batch_, step, 0.0);
}

}  // namespace sbp::experiments
