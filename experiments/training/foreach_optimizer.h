// Optimizers that update all parameters at once, as PyTorch's do on CUDA.
//
// The same updates as LibTorch's loop, to the last digits, and other memory: each operator works
// on the list of all parameters (of those that decay, then of those that do not), and a temporary
// is such a list, as large as all of them together. Lists are made, in order and size, and live as
// in torch/optim of PyTorch 2.14 with its defaults (foreach, neither capturable nor fused, no
// maximize). In what order tensors are freed with no allocation in between is not imitated.
#pragma once

#include <memory>
#include <vector>

#include "experiments/training/optimizer.h"

namespace sbp::experiments {

// `spec` is one of optimizer_schemas(); `parameters`, all of one device and type, must outlive the
// optimizer. As in PyTorch, an update of sgd with Nesterov's look ahead and no decay leaves other
// gradients behind than it found.
std::unique_ptr<Optimizer> make_foreach_optimizer(const Spec& spec,
                                                  const std::vector<Parameter>& parameters);

}  // namespace sbp::experiments
