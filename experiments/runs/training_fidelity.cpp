#include "experiments/runs/training_fidelity.h"

#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace sbp::experiments {
namespace {

// Averaged weights do not come into a gradient.
TrainerOptions exact_options(TrainerOptions options) {
  options.ema_decay = 0.0;
  return options;
}

}  // namespace

TrainingFidelity::TrainingFidelity(Model& model, MaskSource& masks, Optimizer& optimizer,
                                   const TrainerOptions& options)
    : model_(model),
      optimizer_(optimizer),
      full_plan_(full_plan(model.sites())),
      exact_(model, full_plan_, masks, optimizer, exact_options(options)),
      scopes_(scopes_of(model)) {}

std::vector<at::Tensor> TrainingFidelity::mean_gradient(const std::vector<Batch>& batches,
                                                        std::int64_t step, Trainer& trainer) const {
  const c10::NoGradGuard no_grad;
  const auto count = std::ssize(batches);
  std::vector<at::Tensor> mean;
  for (const Parameter& parameter : model_.parameters()) {
    mean.push_back(at::zeros_like(parameter.value));
  }
  for (std::int64_t i = 0; i < count; ++i) {
    // As Trainer::step keys them.
    const auto key = static_cast<std::uint32_t>(step * count + i);
    {
      const c10::AutoGradMode recording(true);
      const Batch& batch = batches[static_cast<std::size_t>(i)];
      if (!trainer.gradient(batch, {.step = key, .mask_step = key}).problem.empty()) return {};
    }
    for (std::size_t p = 0; p < mean.size(); ++p) {
      const at::Tensor& gradient = model_.parameters()[p].value.grad();
      if (gradient.defined()) mean[p].add_(gradient, 1.0 / static_cast<double>(count));
    }
  }
  return mean;
}

std::optional<reports::FidelityPoint> TrainingFidelity::measure(const std::vector<Batch>& batches,
                                                                std::int64_t step,
                                                                Trainer& trainer) {
  const bool had_gradients = model_.parameters().front().value.grad().defined();
  const std::vector<at::Tensor> exact = mean_gradient(batches, step, exact_);
  const std::vector<at::Tensor> approximate = mean_gradient(batches, step, trainer);
  if (!had_gradients) optimizer_.zero_grad();
  if (exact.empty() || approximate.empty()) return std::nullopt;
  GradientScore score(exact.size());
  for (std::size_t p = 0; p < exact.size(); ++p) {
    score[p].mean = compare(approximate[p], exact[p]);
    score[p].draws = {score[p].mean};
  }
  FidelityTally tally(scopes_, /*drawn=*/true);
  tally.add(score);
  return reports::FidelityPoint{
      .step = step, .agreement = tally.overall(), .cosine_over_layers = tally.over_layers().cosine};
}

}  // namespace sbp::experiments
