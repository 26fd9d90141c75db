// What every model is: sites, parameters, and a forward that runs under any plan.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/data/dataset.h"
#include "sbp/base/spec.h"
#include "sbp/execution.h"
#include "sbp/site.h"

namespace sbp::experiments {

// A trained tensor.
struct Parameter {
  std::string name;  // timm's: "blocks.0.attn.qkv.weight"
  at::Tensor value;  // a leaf that requires gradient
  LayerId layer = kNoLayer;
  bool decays = true;  // weight decay applies: matrices and kernels, not biases, norms, positions
};

// What a model keeps beside its parameters and a checkpoint must hold too: running statistics.
struct Buffer {
  std::string name;  // timm's: "bn1.running_mean"
  at::Tensor value;
  LayerId layer = kNoLayer;
};

struct BuildOptions {
  at::Device device = at::kCPU;  // on Meta nothing is allocated or filled
  at::ScalarType dtype = at::kFloat;
  std::uint64_t seed = 0;  // of the initial values, keyed by parameter
};

class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // images [batch, channels, height, width] -> logits [batch, classes].
  virtual at::Tensor forward(Execution& run, const at::Tensor& images) = 0;

  const SiteTable& sites() const { return sites_; }
  SiteTable& sites() { return sites_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const ImageGeometry& input() const { return input_; }

 protected:
  explicit Model(const ImageGeometry& input) : input_(input) {}

  SiteTable sites_;
  std::vector<Parameter> parameters_;
  std::vector<Buffer> buffers_;
  ImageGeometry input_;
};

// How a new parameter starts.
struct Initial {
  enum class Kind { zeros, ones, truncated_normal, normal, uniform };
  Kind kind = Kind::zeros;
  double standard_deviation = 0.0;
};
inline constexpr Initial kZeros{Initial::Kind::zeros, 0.0};
inline constexpr Initial kOnes{Initial::Kind::ones, 0.0};
constexpr Initial truncated_normal(double standard_deviation) {
  return {Initial::Kind::truncated_normal, standard_deviation};
}

constexpr Initial normal(double standard_deviation) {
  return {Initial::Kind::normal, standard_deviation};
}
// Over [-bound, bound].
constexpr Initial uniform(double bound) {
  constexpr double kSquareRootOf3 = 1.7320508075688772;
  return {Initial::Kind::uniform, bound / kSquareRootOf3};
}

// The rate of block `index` of `count`: 0 in the first, `last` in the last, linear between; 0 of a
// single one (Huang et al., "Deep Networks with Stochastic Depth", 2016, section 3).
double block_drop_path(double last, int index, int count);

// Makes a model's parameters one by one and lists them.
class ParameterMaker {
 public:
  ParameterMaker(const BuildOptions& options, std::vector<Parameter>& parameters)
      : options_(options), parameters_(parameters) {}

  // Decays when it has more than one dimension.
  at::Tensor add(const std::string& name, LayerId layer, std::vector<std::int64_t> shape,
                 Initial initial);
  // A token or position table: never decays.
  at::Tensor add_embedding(const std::string& name, LayerId layer, std::vector<std::int64_t> shape,
                           Initial initial);

 private:
  BuildOptions options_;
  std::vector<Parameter>& parameters_;
};

}  // namespace sbp::experiments
