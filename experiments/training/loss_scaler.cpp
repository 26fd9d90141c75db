#include "experiments/training/loss_scaler.h"

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "experiments/training/gradients.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr double kGrowth = 2.0;
constexpr double kBackoff = 0.5;
constexpr std::int64_t kGrowthInterval = 2000;  // good steps
constexpr double kLargest = 0x1p+120;           // of the scale: fp32 still holds it
constexpr double kSmallest = 0x1p-16;

}  // namespace

at::Tensor LossScaler::root_gradient(const at::Tensor& loss) const {
  const c10::NoGradGuard no_grad;
  return at::full_like(loss, state_.scale);
}

bool LossScaler::unscale(const std::vector<Parameter>& parameters) {
  const c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
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

}  // namespace sbp::experiments
