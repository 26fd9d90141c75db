#include "profiler/torch/profile_step.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <cctype>
#include <string>
#include <unordered_map>
#include <vector>

#include "profiler/ledger.h"
#include "profiler/torch/origin.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

// A tensor of the module and whose it is.
struct Owned {
  std::string name;
  at::Tensor tensor;
  LayerId layer;
};

struct ModuleTensors {
  LayerTable layers;
  std::unordered_map<const torch::nn::Module*, LayerId> layer_of;
  std::vector<Owned> parameters;
  std::vector<Owned> buffers;
};

// Set while a step is traced, on the thread that called profile_step.
const ModuleTensors* traced_module = nullptr;

// "torch::nn::Conv2dImpl" -> "conv2d".
std::string kind_of(const torch::nn::Module& module) {
  std::string kind = module.name();
  kind.erase(0, kind.rfind(':') + 1);
  if (kind.ends_with("Impl")) kind.resize(kind.size() - 4);
  for (char& letter : kind) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return kind;
}

void add_tensors(const torch::nn::Module& module, const std::string& name, LayerId layer,
                 ModuleTensors& all) {
  const std::string prefix = name.empty() ? "" : name + ".";
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    all.parameters.push_back({prefix + item.key(), item.value(), layer});
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    all.buffers.push_back({prefix + item.key(), item.value(), layer});
  }
}

ModuleTensors tensors_of(const torch::nn::Module& module) {
  ModuleTensors all;
  add_tensors(module, "", kNoLayer, all);
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    const LayerId layer = all.layers.add(item.key(), kind_of(*item.value()));
    // A module that is registered twice keeps its first name.
    if (!all.layer_of.emplace(item.value().get(), layer).second) continue;
    add_tensors(*item.value(), item.key(), layer, all);
  }
  return all;
}

DeviceId device_id(const at::Tensor& tensor) {
  if (tensor.is_meta()) return {.kind = DeviceId::Kind::meta};
  if (tensor.is_cpu()) return {.kind = DeviceId::Kind::cpu};
  throw Error(concat("profiling a module: it is on device '", tensor.device().str(),
                     "', which cannot be traced; cpu and meta can"));
}

// The one device that everything is on, all of it in counted memory.
DeviceId checked_device(const ModuleTensors& all) {
  std::optional<DeviceId> device;
  for (const auto* list : {&all.parameters, &all.buffers}) {
    for (const Owned& owned : *list) {
      if (!owned.tensor.defined()) continue;
      const DeviceId its = device_id(owned.tensor);
      if (device && *device != its) {
        throw Error(concat("profiling a module: '", owned.name, "' is on ", to_string(its),
                           ", others are on ", to_string(*device), "; put all on one device"));
      }
      device = its;
      if (owned.tensor.storage().nbytes() > 0 && !storage_block(owned.tensor)) {
        throw Error(concat("profiling a module: the memory of '", owned.name,
                           "' is not counted; call install_torch_hooks() before the module is "
                           "made, and let LibTorch allocate it"));
      }
    }
  }
  return device.value_or(DeviceId{});
}

std::vector<at::Tensor> state_tensors(const torch::optim::OptimizerParamState& state) {
  using namespace torch::optim;
  if (const auto* sgd = dynamic_cast<const SGDParamState*>(&state)) return {sgd->momentum_buffer()};
  if (const auto* adam = dynamic_cast<const AdamParamState*>(&state)) {
    return {adam->exp_avg(), adam->exp_avg_sq(), adam->max_exp_avg_sq()};
  }
  if (const auto* adamw = dynamic_cast<const AdamWParamState*>(&state)) {
    return {adamw->exp_avg(), adamw->exp_avg_sq(), adamw->max_exp_avg_sq()};
  }
  if (const auto* rms = dynamic_cast<const RMSpropParamState*>(&state)) {
    return {rms->square_avg(), rms->momentum_buffer(), rms->grad_avg()};
  }
  if (const auto* adagrad = dynamic_cast<const AdagradParamState*>(&state)) {
    return {adagrad->sum()};
  }
  return {};
}

class TracingRecorder final : public StepRecorder {
 public:
  TracingRecorder(const ModuleTensors& all, const torch::optim::Optimizer* optimizer,
                  const TracerOptions& options)
      : all_(all), optimizer_(optimizer), tracer_(options, all.layers) {
    for (const Owned& owned : all_.parameters) {
      tracer_.tag(owned.tensor, Category::parameter, owned.layer);
    }
    for (const Owned& owned : all_.buffers) {
      tracer_.tag(owned.tensor, Category::buffer, owned.layer);
    }
    tag_what_changes();
    tracer_.enter(Phase::forward);
    traced_module = &all_;
  }
  ~TracingRecorder() { traced_module = nullptr; }

  void input(const at::Tensor& tensor) override { tracer_.tag(tensor, Category::input); }

  void enter(Phase phase) override {
    tag_what_changes();
    tracer_.enter(phase);
  }

  Trace stop() {
    tag_what_changes();
    return tracer_.stop();
  }

 private:
  // What a step may replace: gradients and the optimizer's state.
  void tag_what_changes() {
    for (const Owned& owned : all_.parameters) {
      tracer_.tag(owned.tensor.grad(), Category::gradient, owned.layer);
      if (optimizer_ == nullptr) continue;
      const auto found = optimizer_->state().find(owned.tensor.unsafeGetTensorImpl());
      if (found == optimizer_->state().end()) continue;
      for (const at::Tensor& state : state_tensors(*found->second)) {
        tracer_.tag(state, Category::optimizer_state, owned.layer);
      }
    }
  }

  const ModuleTensors& all_;
  const torch::optim::Optimizer* optimizer_;
  Tracer tracer_;
};

class NoRecorder final : public StepRecorder {
 public:
  void input(const at::Tensor&) override {}
  void enter(Phase) override {}
};

std::optional<LayerId> traced_layer(const torch::nn::Module& module) noexcept {
  if (traced_module == nullptr) return std::nullopt;
  const auto found = traced_module->layer_of.find(&module);
  if (found == traced_module->layer_of.end()) return std::nullopt;
  return found->second;
}

}  // namespace

MemoryProfile profile_step(const torch::nn::Module& module,
                           const torch::optim::Optimizer* optimizer,
                           const std::function<void(StepRecorder&)>& step,
                           const ProfileStepOptions& options) {
  const ModuleTensors all = tensors_of(module);
  const DeviceId device = checked_device(all);
  NoRecorder silent;
  for (std::int64_t i = 0; i < options.warmup; ++i) step(silent);
  TracingRecorder recorder(all, optimizer,
                           {.device = device, .buffer_records = options.buffer_records});
  step(recorder);
  return analyse(recorder.stop());
}

ModuleScope::ModuleScope(const torch::nn::Module& module) noexcept {
  if (const auto layer = traced_layer(module)) layer_.emplace(*layer);
}

at::Tensor in_layers(torch::nn::SequentialImpl& sequential, at::Tensor input) {
  for (torch::nn::AnyModule& member : sequential) {
    const ModuleScope scope(*member.ptr());
    input = member.forward(std::move(input));
  }
  return input;
}

}  // namespace sbp::profiler
