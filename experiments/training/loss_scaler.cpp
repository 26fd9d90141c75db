#include "experiments/training/loss_scaler.h"

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr double kGrowth = 2.0;
constexpr double kBackoff = 0.5;
constexpr std::int64_t kGrowthInterval = 2000;  // good steps
constexpr double kLargest = 0x1p+120;           // of the scale: fp32 still holds it
constexpr double kSmallest = 0x1p-16;

constexpr const char* kScaleName = "loss_scaler.scale";
constexpr const char* kGoodStepsName = "loss_scaler.good_steps";
constexpr const char* kSkippedStepsName = "loss_scaler.skipped_steps";

}  // namespace

at::Tensor LossScaler::root_gradient(const at::Tensor& loss) const {
  const c10::NoGradGuard no_grad;
  return at::full_like(loss, state_.scale);
}

bool LossScaler::unscale(const std::vector<Parameter>& parameters) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : parameters) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  }
  if (gradients.empty() || gradients.front().is_meta()) return true;
  const auto options = at::dtype(at::kFloat).device(gradients.front().device());
  at::Tensor overflowed = at::zeros({1}, options);
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflowed,
                                                 at::full({1}, 1.0 / state_.scale, options));
  const bool finite = overflowed.item<float>() == 0.0F;
  adapt(finite);
  return finite;
}

void LossScaler::adapt(bool finite) {
  if (!finite) {
    ++state_.skipped_steps;
    state_.good_steps = 0;
    state_.scale *= kBackoff;
    if (state_.scale < kSmallest) {
      throw Error(concat("training in fp16: gradients are not finite even at a loss scale of '",
                         state_.scale / kBackoff, "'; use a lower learning rate or bf16"));
    }
    return;
  }
  if (++state_.good_steps < kGrowthInterval) return;
  state_.good_steps = 0;
  if (state_.scale < kLargest) state_.scale *= kGrowth;
}

void store(const LossScaler& scaler, std::map<std::string, double>& scalars) {
  scalars[kScaleName] = scaler.state().scale;
  scalars[kGoodStepsName] = static_cast<double>(scaler.state().good_steps);
  scalars[kSkippedStepsName] = static_cast<double>(scaler.state().skipped_steps);
}

void restore(LossScaler& scaler, const std::map<std::string, double>& scalars) {
  const auto number = [&](const char* name, double otherwise) {
    const auto found = scalars.find(name);
    return found == scalars.end() ? otherwise : found->second;
  };
  const LossScaler::State& now = scaler.state();
  scaler.restore({.scale = number(kScaleName, now.scale),
                  .good_steps = static_cast<std::int64_t>(
                      number(kGoodStepsName, static_cast<double>(now.good_steps))),
                  .skipped_steps = static_cast<std::int64_t>(
                      number(kSkippedStepsName, static_cast<double>(now.skipped_steps)))});
}

}  // namespace sbp::experiments
