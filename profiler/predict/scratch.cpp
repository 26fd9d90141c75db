#include "profiler/predict/scratch.h"

namespace sbp::predict {

std::string_view to_string(ScratchKind kind) {
  switch (kind) {
    case ScratchKind::cudnn_workspace: return "cudnn_workspace";
    case ScratchKind::cublas_workspace: return "cublas_workspace";
    case ScratchKind::cublas_lt_workspace: return "cublas_lt_workspace";
  }
  return "unknown";
}

std::vector<Scratch> scratch_of(const profiler::Operation& operation, const DeviceProfile& device) {
  using profiler::OperationKind;
  if (operation.kind == OperationKind::matrix_product) {
    return {{ScratchKind::cublas_workspace, device.cublas_workspace_bytes, /*kept=*/true}};
  }
  return {};
}

}  // namespace sbp::predict
