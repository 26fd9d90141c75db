#include "experiments/fidelity/fidelity_tally.h"

#include <cmath>
#include <map>
#include <numeric>

namespace sbp::experiments {
namespace {

GradientSums sum_of(const std::vector<GradientSums>& sums,
                    const std::vector<std::size_t>& parameters) {
  GradientSums total;
  for (const std::size_t i : parameters) total += sums[i];
  return total;
}

GradientSums whole(const std::vector<GradientSums>& sums) {
  GradientSums total;
  for (const GradientSums& parameter : sums) total += parameter;
  return total;
}

// One figure of the layers' means.
reports::LayerSpread spread(const FidelityScopes& scopes, const std::vector<MeanAgreement>& means,
                            std::optional<double> reports::Agreement::*figure) {
  reports::LayerSpread spread;
  MeanFigure mean;
  for (std::size_t i = 0; i < means.size(); ++i) {
    const std::optional<double> value = means[i].mean().*figure;
    if (!value) continue;
    mean.add(value);
    if (!spread.minimum || *value < *spread.minimum) {
      spread.minimum = value;
      spread.minimum_layer = scopes.layers[i].name;
    }
    if (!spread.maximum || *value > *spread.maximum) {
      spread.maximum = value;
      spread.maximum_layer = scopes.layers[i].name;
    }
  }
  spread.mean = mean.mean();
  return spread;
}

}  // namespace

FidelityScopes scopes_of(const Model& model) {
  std::map<LayerId, std::vector<std::size_t>> by_layer;  // ids are in forward order
  FidelityScopes scopes;
  for (std::size_t i = 0; i < model.parameters().size(); ++i) {
    by_layer[model.parameters()[i].layer].push_back(i);
  }
  scopes.parameters.resize(model.parameters().size());
  for (const auto& [id, parameters] : by_layer) {
    const LayerTable::Layer& layer = model.sites().layers()[id];
    FidelityScopes::Layer entry{.name = layer.name, .kind = layer.kind, .parameters = parameters};
    for (const std::size_t i : parameters) {
      const Parameter& parameter = model.parameters()[i];
      scopes.parameters[i] = {parameter.name, scopes.layers.size(), parameter.value.numel()};
      entry.elements += parameter.value.numel();
    }
    scopes.layers.push_back(std::move(entry));
  }
  return scopes;
}

void MeanAgreement::add(const reports::Agreement& agreement) {
  cosine_.add(agreement.cosine);
  relative_error_.add(agreement.relative_error);
  norm_ratio_.add(agreement.norm_ratio);
  sign_agreement_.add(agreement.sign_agreement);
}

reports::Agreement MeanAgreement::mean() const {
  return {.cosine = cosine_.mean(),
          .relative_error = relative_error_.mean(),
          .norm_ratio = norm_ratio_.mean(),
          .sign_agreement = sign_agreement_.mean()};
}

FidelityTally::FidelityTally(const FidelityScopes& scopes, bool drawn)
    : scopes_(scopes),
      drawn_(drawn),
      layer_means_(scopes.layers.size()),
      parameter_means_(scopes.parameters.size()),
      local_cosine_(scopes.layers.size()),
      local_error_(scopes.layers.size()),
      exact_norm_(scopes.layers.size()),
      scatter_(scopes.parameters.size()) {}

void FidelityTally::add(const GradientScore& score) {
  masks_ = std::ssize(score.front().draws);
  ++batches_;
  for (std::size_t draw = 0; draw < score.front().draws.size(); ++draw) {
    const std::vector<GradientSums> sums = sums_of_draw(score, draw);
    overall_.add(agreement_of(whole(sums)));
    for (std::size_t i = 0; i < sums.size(); ++i) parameter_means_[i].add(agreement_of(sums[i]));
    for (std::size_t i = 0; i < scopes_.layers.size(); ++i) {
      layer_means_[i].add(agreement_of(sum_of(sums, scopes_.layers[i].parameters)));
    }
    GradientSums update;
    for (const ParameterScore& parameter : score) {
      if (draw < parameter.updates.size()) update += parameter.updates[draw];
    }
    update_cosine_.add(cosine_of(update));
  }
  for (std::size_t i = 0; i < scopes_.layers.size(); ++i) {
    double square = 0.0;
    for (const std::size_t parameter : scopes_.layers[i].parameters) {
      square += score[parameter].mean.gg;
    }
    exact_norm_[i].add(std::sqrt(square));
  }
  add_noise(score);
}

void FidelityTally::add_noise(const GradientScore& score) {
  GradientSums mean;
  double scatter = 0.0;
  for (std::size_t i = 0; i < score.size(); ++i) {
    mean += score[i].mean;
    scatter += score[i].scatter;
    scatter_[i] += score[i].scatter;
  }
  if (mean.gg == 0.0) return;
  cosine_of_mean_.add(cosine_of(mean));
  if (!drawn_) {  // every mask gives this gradient: all of its error is bias
    variance_.add(0.0);
    squared_bias_.add(mean.dd / mean.gg);
  }
  if (!drawn_ || masks_ < 2) return;
  // |mean - g|^2 holds the noise of the mean beside the bias.
  const auto masks = static_cast<double>(masks_);
  const double variance = scatter / (masks - 1.0);
  variance_.add(variance / mean.gg);
  squared_bias_.add((mean.dd - variance / masks) / mean.gg);
}

void FidelityTally::add_local(const std::vector<GradientSums>& sums) {
  for (std::size_t i = 0; i < scopes_.layers.size(); ++i) {
    const reports::Agreement agreement = agreement_of(sum_of(sums, scopes_.layers[i].parameters));
    local_cosine_[i].add(agreement.cosine);
    local_error_[i].add(agreement.relative_error);
  }
}

reports::AgreementOverLayers FidelityTally::over_layers() const {
  using reports::Agreement;
  return {.cosine = spread(scopes_, layer_means_, &Agreement::cosine),
          .relative_error = spread(scopes_, layer_means_, &Agreement::relative_error),
          .norm_ratio = spread(scopes_, layer_means_, &Agreement::norm_ratio),
          .sign_agreement = spread(scopes_, layer_means_, &Agreement::sign_agreement)};
}

std::optional<double> FidelityTally::mask_variance(
    const std::vector<std::size_t>& parameters) const {
  if (!drawn_) return 0.0;
  if (masks_ < 2) return std::nullopt;
  double scatter = 0.0;
  for (const std::size_t i : parameters) scatter += scatter_[i];
  return scatter / static_cast<double>((masks_ - 1) * batches_);
}

std::optional<double> FidelityTally::noise_ratio(const std::vector<std::size_t>& parameters,
                                                 const BatchVariance& variance) const {
  double over_batches = 0.0;
  for (const std::size_t i : parameters) over_batches += variance[i];
  const std::optional<double> over_masks = mask_variance(parameters);
  if (!over_masks || over_batches <= 0.0) return std::nullopt;
  return *over_masks / over_batches;
}

reports::MaskNoise FidelityTally::noise(const BatchVariance& variance, std::int64_t batch) const {
  std::vector<std::size_t> all(scopes_.parameters.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  reports::MaskNoise noise{.masks = masks_,
                           .cosine_of_mean = cosine_of_mean_.mean(),
                           .squared_bias = squared_bias_.mean(),
                           .variance = variance_.mean(),
                           .noise_ratio = noise_ratio(all, variance),
                           .effective_batch = {}};
  if (noise.noise_ratio) {
    noise.effective_batch = static_cast<double>(batch) / (1.0 + *noise.noise_ratio);
  }
  return noise;
}

std::vector<reports::LayerFidelity> FidelityTally::layers(const BatchVariance& variance) const {
  std::vector<reports::LayerFidelity> layers;
  for (std::size_t i = 0; i < scopes_.layers.size(); ++i) {
    const FidelityScopes::Layer& scope = scopes_.layers[i];
    reports::LayerFidelity layer;
    layer.name = scope.name;
    layer.kind = scope.kind;
    layer.elements = scope.elements;
    layer.agreement = layer_means_[i].mean();
    layer.local_cosine = local_cosine_[i].mean();
    layer.local_relative_error = local_error_[i].mean();
    layer.exact_norm = exact_norm_[i].mean();
    layer.noise_ratio = noise_ratio(scope.parameters, variance);
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<reports::ParameterFidelity> FidelityTally::parameters() const {
  std::vector<reports::ParameterFidelity> parameters;
  for (std::size_t i = 0; i < scopes_.parameters.size(); ++i) {
    const FidelityScopes::Item& scope = scopes_.parameters[i];
    parameters.push_back({.name = scope.name,
                          .layer = scopes_.layers[scope.layer].name,
                          .elements = scope.elements,
                          .agreement = parameter_means_[i].mean()});
  }
  return parameters;
}

}  // namespace sbp::experiments
