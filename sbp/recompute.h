// Storing a function's input instead of what it saves, and running it again in backward.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "sbp/base/scope.h"

namespace sbp {

using RowFunction = std::function<at::Tensor(const at::Tensor&)>;

// body(x), keeping only x. `body` must be a function of x and of parameters alone, and draw any
// random numbers from keys, so that running it twice gives the same bits. The scope `layer` is
// open again while it is re-run. `body` lives until the graph goes.
at::Tensor recompute(LayerId layer, const at::Tensor& x, RowFunction body);

}  // namespace sbp
