#include "experiments/models/mlp.h"

#include <cmath>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

class Mlp : public Model {
 public:
  Mlp(const MlpOptions& options, const BuildOptions& build)
      : Model(options.input), make_(build, parameters_) {
    std::int64_t in = options.input.elements();
    for (std::int64_t i = 0; i + 1 < options.depth; ++i) {
      const std::string name = concat("layers.", i);
      const int block = static_cast<int>(i);
      sites_.layers().add(name, "block");
      linears_.push_back(make_linear(name + ".fc", block, in, options.hidden));
      acts_.push_back(sites_.add(name + ".act", SiteKind::nonlinearity, block));
      in = options.hidden;
    }
    linears_.push_back(make_linear("head", -1, in, options.input.classes));
    sites_.set_input(linears_.front().site, kTheBatch);
  }

  at::Tensor forward(Execution& run, const at::Tensor& images) override {
    at::Tensor x = images.flatten(1);
    for (std::size_t i = 0; i < linears_.size(); ++i) {
      x = run.linear(linears_[i].site, x, linears_[i].weight, linears_[i].bias);
      if (i < acts_.size()) x = run.gelu(acts_[i], x);
    }
    return x;
  }

 private:
  Affine make_linear(const std::string& name, int block, std::int64_t in, std::int64_t out) {
    const SiteId site = sites_.add(name, SiteKind::linear, block);
    const LayerId layer = sites_[site].layer;
    // Keeps the variance of activations through linear and GELU (He et al. 2015, for ReLU).
    const Initial weight = truncated_normal(std::sqrt(2.0 / static_cast<double>(in)));
    return {site, make_.add(name + ".weight", layer, {out, in}, weight),
            make_.add(name + ".bias", layer, {out}, kZeros)};
  }

  ParameterMaker make_;
  std::vector<Affine> linears_;
  std::vector<SiteId> acts_;
};

}  // namespace

std::unique_ptr<Model> make_mlp(const MlpOptions& options, const BuildOptions& build) {
  return std::make_unique<Mlp>(options, build);
}

}  // namespace sbp::experiments
