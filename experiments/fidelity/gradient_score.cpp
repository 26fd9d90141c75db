#include "experiments/fidelity/gradient_score.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "experiments/fidelity/blocks.h"

namespace sbp::experiments {

std::vector<GradientSums> sums_of_draw(const GradientScore& score, std::size_t draw) {
  std::vector<GradientSums> sums;
  for (const ParameterScore& parameter : score) sums.push_back(parameter.draws.at(draw));
  return sums;
}

void RunningMean::add(const at::Tensor& value) {
  ++count_;
  if (!mean_.defined()) mean_ = at::zeros(value.sizes(), at::dtype(at::kDouble));
  const at::Tensor values = value.cpu().to(at::kDouble).contiguous();
  const double* in = values.const_data_ptr<double>();
  double* mean = mean_.data_ptr<double>();
  const auto count = static_cast<double>(count_);
  const auto parts = over_blocks<double>(values.numel(), [&](std::int64_t first, std::int64_t n) {
    double scatter = 0.0;
    for (std::int64_t i = first; i < first + n; ++i) {
      const double before = in[i] - mean[i];
      mean[i] += before / count;
      scatter += before * (in[i] - mean[i]);
    }
    return scatter;
  });
  for (const double part : parts) scatter_ += part;
}

void ParameterScorer::add(const at::Tensor& h, const at::Tensor& g) {
  score_.draws.push_back(compare(h, g));
  mean_.add(h.defined() ? h : at::zeros_like(g));
}

void ParameterScorer::add_update(const at::Tensor& h, const at::Tensor& g) {
  score_.updates.push_back(compare(h, g));
}

ParameterScore ParameterScorer::finish(const at::Tensor& g) && {
  score_.mean = compare(mean_.mean(), g);
  score_.scatter = mean_.scatter();
  return std::move(score_);
}

ParameterScore exact_score(const at::Tensor& g, const at::Tensor& update, std::size_t draws) {
  ParameterScore score;
  score.mean = compare(g, g);
  score.draws.assign(draws, score.mean);
  if (update.defined()) score.updates.assign(draws, compare(update, update));
  return score;
}

}  // namespace sbp::experiments
