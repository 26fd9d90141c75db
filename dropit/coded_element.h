// What can be coded: floating-point tensors on CPU, and on Meta.
#pragma once

#include <ATen/core/Tensor.h>

#include "dropit/element.h"

namespace sbp::dropit {

// Throws Error for other devices.
void check_device(at::Device device);
// Throws Error for other types.
ElementType element_type(at::ScalarType type);

}  // namespace sbp::dropit
