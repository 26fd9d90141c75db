#include "experiments/training/model_average.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>
#include <c10/core/GradMode.h>

namespace sbp::experiments {
namespace {

// Parameters, or buffers: both have a value and a layer.
template <typename Named>
std::vector<at::Tensor> values_of(const std::vector<Named>& named) {
  std::vector<at::Tensor> values;
  for (const Named& item : named) values.push_back(item.value);
  return values;
}

template <typename Named>
std::vector<at::Tensor> copies_of(const std::vector<Named>& named) {
  std::vector<at::Tensor> copies;
  for (const Named& item : named) {
    const ScopedLayer scope(item.layer);
    copies.push_back(item.value.detach().clone());
  }
  return copies;
}

template <typename Named>
void swap_values(const std::vector<Named>& named, const std::vector<at::Tensor>& others) {
  for (std::size_t i = 0; i < named.size(); ++i) {
    const at::Tensor kept = named[i].value.clone();
    named[i].value.copy_(others[i]);
    others[i].copy_(kept);
  }
}

template <typename Named>
void visit_all(const std::vector<Named>& named, const std::vector<at::Tensor>& averages,
               const ModelAverage::Visit& visit) {
  for (std::size_t i = 0; i < named.size(); ++i) visit(named[i].name, averages[i], named[i].layer);
}

}  // namespace

ModelAverage::ModelAverage(const Model& model, double decay)
    : model_(model),
      decay_(decay),
      parameters_(copies_of(model.parameters())),
      buffers_(copies_of(model.buffers())) {}

void ModelAverage::restart() {
  const c10::NoGradGuard no_grad;
  at::_foreach_copy_(parameters_, values_of(model_.parameters()));
  if (!buffers_.empty()) at::_foreach_copy_(buffers_, values_of(model_.buffers()));
}

void ModelAverage::update() {
  const c10::NoGradGuard no_grad;
  at::_foreach_lerp_(parameters_, values_of(model_.parameters()), 1.0 - decay_);
  if (!buffers_.empty()) at::_foreach_copy_(buffers_, values_of(model_.buffers()));
}

void ModelAverage::swap() {
  const c10::NoGradGuard no_grad;
  swap_values(model_.parameters(), parameters_);
  swap_values(model_.buffers(), buffers_);
}

void ModelAverage::for_each(const Visit& visit) const {
  visit_all(model_.parameters(), parameters_, visit);
  visit_all(model_.buffers(), buffers_, visit);
}

}  // namespace sbp::experiments
