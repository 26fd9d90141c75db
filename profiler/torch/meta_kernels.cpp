#include "profiler/torch/meta_kernels.h"

#include <torch/library.h>

namespace sbp::profiler {

void register_meta_kernels() {
  // Never destroyed: that would take the kernels away while static objects still use them. Made
  // here and not by a static initialiser, which a static library may drop unseen.
  static auto* const library =
      new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__);
  add_meta_convolution(*library);
  add_meta_normalisation(*library);
  add_meta_attention(*library);
  add_meta_shape_operators(*library);
  add_meta_activations(*library);
  add_meta_gradient_sum(*library);
}

}  // namespace sbp::profiler
