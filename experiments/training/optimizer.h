// Optimizers by spec.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/models/model.h"
#include "sbp/base/spec.h"

namespace sbp::experiments {

class Optimizer {
 public:
  // One tensor of the state: `name` is PyTorch's ("exp_avg"), `owner` the parameter it is for.
  using VisitState =
      std::function<void(const std::string& name, const at::Tensor& state, const Parameter& owner)>;
  using StoredState = std::function<at::Tensor(const Parameter& owner, const std::string& name)>;

  virtual ~Optimizer() = default;
  // One update with this learning rate, of every parameter that has a gradient.
  virtual void step(double learning_rate) = 0;
  // Drops every gradient (sets it to none).
  virtual void zero_grad() = 0;
  // Every tensor of the state that exists now: most are born in the first update.
  virtual void for_each_state(const VisitState& visit) const = 0;
  // Updates made, also before a load. Together with the state and the parameters it is all that a
  // run needs to go on. Throws Error when some parameter with bias-corrected moments was left out
  // of an update, so that one number does not hold for all.
  virtual std::int64_t steps() const = 0;
  // Makes an optimizer that has made no update go on, bit for bit, where one was after `steps`:
  // takes copies of `stored(owner, name)`, which answers an undefined tensor where that one had no
  // state. Throws Error for tensors of another shape, type or device, and for half a state.
  virtual void load_state(std::int64_t steps, const StoredState& stored) = 0;
  // The spec's learning rate: the peak of a schedule.
  virtual double learning_rate() const = 0;
};

// `parameters` must outlive the optimizer. `spec` is one of optimizer_schemas(); its `loop` says
// how parameters are gone through: `each` one after another, `foreach` all at once as PyTorch's
// default on CUDA does; `auto` is that on CUDA, else each. Throws UsageError for keys that
// contradict each other.
std::unique_ptr<Optimizer> make_optimizer(const Spec& spec,
                                          const std::vector<Parameter>& parameters);

}  // namespace sbp::experiments
