#include "experiments/training/gradients.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

namespace sbp::experiments {

std::vector<at::Tensor> gradients_of(const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : parameters) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  }
  return gradients;
}

at::Tensor gradient_norm(const std::vector<Parameter>& parameters) {
  const c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (gradients.empty()) return {};
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
}

void clip_gradients(const std::vector<Parameter>& parameters, const at::Tensor& norm,
                    double maximum) {
  const c10::NoGradGuard no_grad;
  const at::Tensor factor = norm.add(1e-6).reciprocal_().mul_(maximum).clamp_max_(1.0);
  at::_foreach_mul_(gradients_of(parameters), factor);
}

std::string first_non_finite_gradient(const std::vector<Parameter>& parameters) {
  for (const Parameter& parameter : parameters) {
    const at::Tensor& gradient = parameter.value.grad();
    if (gradient.defined() && !at::isfinite(gradient).all().item<bool>()) return parameter.name;
  }
  return {};
}

}  // namespace sbp::experiments
