// One training step of anybody's module, with every byte in the books.
//
// LibTorch's C++ modules have no forward hooks, so nobody can see from outside which submodule is
// computing. Parameters, buffers, gradients and optimizer state are booked to their layers all the
// same; what the forward allocates and saves is booked to a layer where its call goes through
// in_layer, in_layers or a ModuleScope, and outside every layer elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "profiler/memory_profile.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/scope.h"

namespace at {
class Tensor;
}
namespace torch::nn {
class Module;
class SequentialImpl;
}  // namespace torch::nn
namespace torch::optim {
class Optimizer;
}

namespace sbp::profiler {

struct ProfileStepOptions {
  std::int64_t warmup = 2;  // untraced steps first: the optimizer's state is born there
  std::int64_t buffer_records = 1 << 22;  // of the traced step, 40 bytes each
};

// What a step tells while it runs. Does nothing in a warm-up step.
class StepRecorder {
 public:
  // `tensor` is part of the batch. Memory that LibTorch did not allocate is in no book.
  virtual void input(const at::Tensor& tensor) = 0;
  // The step goes on to `phase`; it begins in Phase::forward.
  virtual void enter(Phase phase) = 0;

 protected:
  ~StepRecorder() = default;
};

// Runs `step` as often as `options` says, traces the last one and returns its books. `optimizer`
// may be nullptr. State of LibTorch's own Adagrad, Adam, AdamW, RMSprop and SGD is found; that of
// others counts as `unknown`.
//
// Layers have the names that named_modules() gives, and as kind the class without "Impl" in small
// letters ("linear", "conv2d"). Throws Error when the module is not on one CPU or Meta device, and
// when its memory is not counted: install_torch_hooks() comes before the module is made.
MemoryProfile profile_step(const torch::nn::Module& module,
                           const torch::optim::Optimizer* optimizer,
                           const std::function<void(StepRecorder&)>& step,
                           const ProfileStepOptions& options = {});

// While it lives, this thread computes `module`, a submodule of the one being profiled. Does
// nothing for another module, and when no step is being traced.
class ModuleScope {
 public:
  explicit ModuleScope(const torch::nn::Module& module) noexcept;

 private:
  std::optional<ScopedLayer> layer_;
};

// holder->forward(arguments...) in the holder's scope. `holder`: torch::nn::Linear, ...
template <typename Holder, typename... Arguments>
auto in_layer(Holder& holder, Arguments&&... arguments) {
  const ModuleScope scope(*holder);
  return holder->forward(std::forward<Arguments>(arguments)...);
}

// The forward of a Sequential from one tensor to one, each member in its own scope.
at::Tensor in_layers(torch::nn::SequentialImpl& sequential, at::Tensor input);

}  // namespace sbp::profiler
