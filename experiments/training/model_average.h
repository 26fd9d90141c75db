// Exponential moving average of a model's weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "experiments/models/model.h"

namespace sbp::experiments {

// As timm keeps it: average = decay * average + (1 - decay) * weight after each update, from the
// first weights on; buffers are copied.
class ModelAverage {
 public:
  using Visit =
      std::function<void(const std::string& name, const at::Tensor& average, LayerId layer)>;

  // `model` must outlive it.
  ModelAverage(const Model& model, double decay);

  // Takes the model's values as they are now: after weights were loaded into it.
  void restart();
  // After an update of the model.
  void update();
  // Exchanges the values of the model and the average. Twice: as before.
  void swap();
  // Every averaged tensor by the name of its parameter or buffer; loading copies into it.
  void for_each(const Visit& visit) const;

 private:
  const Model& model_;
  double decay_;
  std::vector<at::Tensor> parameters_;  // in the model's order
  std::vector<at::Tensor> buffers_;
};

// The model with its averaged weights for the life of this object; with nullptr nothing changes.
class WithAverage {
 public:
  explicit WithAverage(ModelAverage* average) : average_(average) {
    if (average_ != nullptr) average_->swap();
  }
  ~WithAverage() {
    if (average_ != nullptr) average_->swap();
  }
  WithAverage(const WithAverage&) = delete;
  WithAverage& operator=(const WithAverage&) = delete;

 private:
  ModelAverage* average_;
};

}  // namespace sbp::experiments
