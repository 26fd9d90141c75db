// Scores of masks and batches into the figures of a report: parameters, layers, the whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/fidelity/gradient_score.h"
#include "experiments/models/model.h"
#include "reports/report.h"

namespace sbp::experiments {

// The parameters of a model, gathered by layer. Layers are in forward order.
struct FidelityScopes {
  struct Layer {
    std::string name;
    std::string kind;
    std::vector<std::size_t> parameters;
    std::int64_t elements = 0;
  };
  struct Item {
    std::string name;
    std::size_t layer = 0;
    std::int64_t elements = 0;
  };
  std::vector<Layer> layers;
  std::vector<Item> parameters;
};
FidelityScopes scopes_of(const Model& model);

// A mean of figures of which some may be absent.
class MeanFigure {
 public:
  void add(const std::optional<double>& value) {
    if (!value) return;
    sum_ += *value;
    ++count_;
  }
  std::optional<double> mean() const {
    return count_ == 0 ? std::nullopt : std::optional(sum_ / static_cast<double>(count_));
  }

 private:
  double sum_ = 0.0;
  std::int64_t count_ = 0;
};

class MeanAgreement {
 public:
  void add(const reports::Agreement& agreement);
  reports::Agreement mean() const;

 private:
  MeanFigure cosine_, relative_error_, norm_ratio_, sign_agreement_;
};

// The variance of the exact gradient over batches; index = parameter, summed over its elements.
using BatchVariance = std::vector<double>;

class FidelityTally {
 public:
  // `scopes` must outlive it. `drawn`: another mask is another gradient.
  FidelityTally(const FidelityScopes& scopes, bool drawn);

  // One batch: one entry a parameter, all of one number of draws.
  void add(const GradientScore& score);
  // One batch and mask in exact surroundings; index = parameter.
  void add_local(const std::vector<GradientSums>& sums);

  reports::Agreement overall() const { return overall_.mean(); }
  reports::AgreementOverLayers over_layers() const;
  std::optional<double> update_cosine() const { return update_cosine_.mean(); }
  // `batch`: samples of one.
  reports::MaskNoise noise(const BatchVariance& variance, std::int64_t batch) const;
  std::vector<reports::LayerFidelity> layers(const BatchVariance& variance) const;
  std::vector<reports::ParameterFidelity> parameters() const;

 private:
  // Variance over masks, mean over batches; absent where masks are drawn and there were not two.
  std::optional<double> mask_variance(const std::vector<std::size_t>& parameters) const;
  std::optional<double> noise_ratio(const std::vector<std::size_t>& parameters,
                                    const BatchVariance& variance) const;
  void add_noise(const GradientScore& score);

  const FidelityScopes& scopes_;
  bool drawn_;
  MeanAgreement overall_;
  std::vector<MeanAgreement> layer_means_, parameter_means_;
  std::vector<MeanFigure> local_cosine_, local_error_, exact_norm_;  // index = layer
  MeanFigure update_cosine_, cosine_of_mean_, squared_bias_, variance_;
  std::vector<double> scatter_;  // index = parameter; over masks and batches
  std::int64_t masks_ = 0;       // on each batch
  std::int64_t batches_ = 0;
};

}  // namespace sbp::experiments
