#include "experiments/models/conv_net.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max_pool2d.h>

#include <cmath>
#include <functional>
#include <utility>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// A built layer.
using Operation = std::function<at::Tensor(Execution& run, const at::Tensor& x)>;
using Operations = std::vector<Operation>;

at::Tensor follow(const Operations& operations, Execution& run, at::Tensor x) {
  for (const Operation& operation : operations) x = operation(run, x);
  return x;
}

// Captures outlive the graph, not only this call: recomputing runs them in backward.
RowFunction as_function(const std::shared_ptr<const Operations>& operations, Execution& run) {
  return [operations, &run](const at::Tensor& x) { return follow(*operations, run, x); };
}

class ConvNet : public Model {
 public:
  ConvNet(std::string name, const ConvNetOptions& options, const BuildOptions& build)
      : Model(options.input),
        name_(std::move(name)),
        momentum_(options.norm_momentum),
        epsilon_(options.norm_epsilon),
        build_(build),
        make_(build, parameters_),
        frame_{options.input.channels, options.input.height, options.input.width} {
    operations_ = make_all(options.layers);
  }

  at::Tensor forward(Execution& run, const at::Tensor& images) override {
    return follow(operations_, run, images);
  }

 private:
  // What flows between layers, the batch apart.
  struct Frame {
    std::int64_t channels = 0, height = 0, width = 0;
    RowGeometry geometry() const { return {.height = height, .width = width}; }
  };

  Operations make_all(const std::vector<LayerSpec>& specs) {
    Operations operations;
    for (const LayerSpec& spec : specs) operations.push_back(make(spec));
    return operations;
  }

  Operation make(const LayerSpec& spec) {
    switch (spec.kind) {
      case LayerKind::convolution: return make_convolution(spec);
      case LayerKind::batch_norm: return make_batch_norm(spec);
      case LayerKind::activation: return make_activation(spec);
      case LayerKind::max_pool: return make_max_pool(spec);
      case LayerKind::average_pool: return make_average_pool(spec);
      case LayerKind::mean: return make_mean(spec);
      case LayerKind::flatten: return make_flatten();
      case LayerKind::dropout: return make_dropout(spec);
      case LayerKind::linear: return make_linear(spec);
      case LayerKind::gate: return make_gate(spec);
      case LayerKind::block: return make_block(spec);
    }
    throw Error("a layer of no known kind");
  }

  SiteId add_site(const std::string& name, SiteKind kind) {
    return sites_.add(name, kind, block_, frame_.geometry());
  }

  Operation make_convolution(const LayerSpec& spec) {
    const SiteId site = add_site(spec.name, SiteKind::conv2d);
    sites_.set_input(site, std::exchange(input_from_, -1));
    const LayerId layer = sites_[site].layer;
    const double fan_out = static_cast<double>(spec.out * spec.kernel * spec.kernel);
    Convolution convolution{
        .stride = spec.stride, .padding = spec.kernel / 2, .groups = spec.groups};
    convolution.weight =
        make_.add(spec.name + ".weight", layer,
                  {spec.out, frame_.channels / spec.groups, spec.kernel, spec.kernel},
                  normal(std::sqrt(2.0 / fan_out)));
    if (spec.bias) convolution.bias = make_.add(spec.name + ".bias", layer, {spec.out}, kZeros);
    const auto strided = [&](std::int64_t side) { return (side - 1) / spec.stride + 1; };
    frame_ = {spec.out, strided(frame_.height), strided(frame_.width)};
    return [site, convolution](Execution& run, const at::Tensor& x) {
      return run.conv2d(site, x, convolution);
    };
  }

  at::Tensor make_buffer(const std::string& name, LayerId layer, double value) {
    const ScopedLayer scope(layer);
    const at::Tensor buffer =
        at::full({frame_.channels}, value, at::dtype(build_.dtype).device(build_.device));
    buffers_.push_back({name, buffer, layer});
    return buffer;
  }

  Operation make_batch_norm(const LayerSpec& spec) {
    const SiteId site = add_site(spec.name, SiteKind::batch_norm);
    const LayerId layer = sites_[site].layer;
    input_from_ = -1;
    BatchNorm norm;
    norm.momentum = momentum_;
    norm.epsilon = epsilon_;
    norm.weight = make_.add(spec.name + ".weight", layer, {frame_.channels}, kOnes);
    norm.bias = make_.add(spec.name + ".bias", layer, {frame_.channels}, kZeros);
    norm.running_mean = make_buffer(spec.name + ".running_mean", layer, 0.0);
    norm.running_var = make_buffer(spec.name + ".running_var", layer, 1.0);
    return
        [site, norm](Execution& run, const at::Tensor& x) { return run.batch_norm(site, x, norm); };
  }

  Operation make_activation(const LayerSpec& spec) {
    const SiteId site = add_site(spec.name, SiteKind::nonlinearity);
    input_from_ = spec.activation == Activation::relu ? site : -1;
    return [site, kind = spec.activation, in_place = spec.in_place](Execution& run,
                                                                    const at::Tensor& x) {
      return run.activation(site, kind, x, in_place);
    };
  }

  Operation make_max_pool(const LayerSpec& spec) {
    const LayerId layer = sites_.layers().add(spec.name, "pool");
    input_from_ = -1;
    const std::int64_t kernel = spec.kernel;
    if (frame_.height < kernel || frame_.width < kernel) {
      throw UsageError(concat("model '", name_, "': image '", input_.height, "' leaves ",
                              frame_.height, "x", frame_.width, " pixels for pool '", spec.name,
                              "'; use a larger image"));
    }
    frame_.height /= kernel;
    frame_.width /= kernel;
    return [layer, kernel](Execution&, const at::Tensor& x) {
      const ScopedLayer scope(layer);
      return at::max_pool2d(x, {kernel, kernel}, {kernel, kernel});
    };
  }

  Operation make_average_pool(const LayerSpec& spec) {
    const LayerId layer = sites_.layers().add(spec.name, "pool");
    input_from_ = -1;
    frame_.height = frame_.width = spec.out;
    return [layer, side = spec.out](Execution&, const at::Tensor& x) {
      const ScopedLayer scope(layer);
      return at::adaptive_avg_pool2d(x, {side, side});
    };
  }

  Operation make_mean(const LayerSpec& spec) {
    const LayerId layer = sites_.layers().add(spec.name, "pool");
    input_from_ = -1;
    frame_.height = frame_.width = 0;
    return [layer](Execution&, const at::Tensor& x) {
      const ScopedLayer scope(layer);
      return x.mean({2, 3});
    };
  }

  Operation make_flatten() {
    frame_ = {.channels = frame_.channels * frame_.height * frame_.width};
    return [](Execution&, const at::Tensor& x) { return x.flatten(1); };
  }

  Operation make_dropout(const LayerSpec& spec) {
    const SiteId site = add_site(spec.name, SiteKind::dropout);
    input_from_ = -1;
    return [site, rate = spec.rate, in_place = spec.in_place](Execution& run, const at::Tensor& x) {
      return run.dropout(site, x, rate, in_place);
    };
  }

  Operation make_linear(const LayerSpec& spec) {
    const SiteId site = add_site(spec.name, SiteKind::linear);
    sites_.set_input(site, std::exchange(input_from_, -1));
    const LayerId layer = sites_[site].layer;
    const at::Tensor weight =
        make_.add(spec.name + ".weight", layer, {spec.out, frame_.channels}, spec.initial);
    const at::Tensor bias = make_.add(spec.name + ".bias", layer, {spec.out}, kZeros);
    frame_ = {.channels = spec.out};
    return [site, weight, bias](Execution& run, const at::Tensor& x) {
      return run.linear(site, x, weight, bias);
    };
  }

  Operation make_gate(const LayerSpec& spec) {
    const LayerId layer = sites_.layers().add(spec.name, "gate");
    const Frame whole = frame_;
    const Operations scale = make_all(spec.layers);
    input_from_ = -1;
    frame_ = whole;
    return [layer, scale](Execution& run, const at::Tensor& x) {
      const ScopedLayer scope(layer);
      return follow(scale, run, x).mul(x);
    };
  }

  Operation make_block(const LayerSpec& spec) {
    const LayerId layer = spec.name.empty() ? kNoLayer : sites_.layers().add(spec.name, "block");
    block_ = next_block_++;
    const Operations body = spec.sum == Sum::none ? make_all(spec.layers) : make_residual(spec);
    Operations all = body;
    for (const Operation& operation : make_all(spec.after)) all.push_back(operation);
    block_ = -1;
    return [layer, all](Execution& run, const at::Tensor& x) {
      if (layer == kNoLayer) return follow(all, run, x);
      const ScopedLayer scope(layer);
      return follow(all, run, x);
    };
  }

  Operations make_residual(const LayerSpec& spec) {
    const Frame input = frame_;
    const SiteId input_from = input_from_;
    const auto shortcut = std::make_shared<const Operations>(make_all(spec.shortcut));
    frame_ = input;
    input_from_ = input_from;
    const SiteId first = sites_.size();
    const auto branch = std::make_shared<const Operations>(make_all(spec.layers));
    const SiteId site = add_site(spec.name + ".add", SiteKind::residual);
    for (SiteId part = first; part < site; ++part) sites_.set_within(part, site);
    input_from_ = -1;
    return {[site, branch, shortcut, in_place = spec.sum == Sum::in_place](Execution& run,
                                                                           const at::Tensor& x) {
      ResidualOptions options{.shortcut_first = true, .in_place = in_place};
      if (!shortcut->empty()) options.shortcut = as_function(shortcut, run);
      return run.residual(site, x, as_function(branch, run), options);
    }};
  }

  std::string name_;
  double momentum_, epsilon_;
  BuildOptions build_;
  ParameterMaker make_;
  Operations operations_;
  // While building: where the layer that comes next stands.
  Frame frame_;
  int block_ = -1, next_block_ = 0;
  SiteId input_from_ = kTheBatch;
};

}  // namespace

std::unique_ptr<Model> make_conv_net(const std::string& name, const ConvNetOptions& options,
                                     const BuildOptions& build) {
  return std::make_unique<ConvNet>(name, options, build);
}

}  // namespace sbp::experiments
