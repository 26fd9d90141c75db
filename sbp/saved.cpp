#include "sbp/saved.h"

#include <torch/csrc/autograd/saved_variable.h>

namespace sbp {

torch::autograd::SavedVariable save_for_backward(const at::Tensor& tensor, SaveLabel label) {
  const ScopedSaveLabel scope(label);
  return torch::autograd::SavedVariable(tensor.detach(), /*is_output=*/false);
}

}  // namespace sbp
