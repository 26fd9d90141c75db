// Logs what LibTorch's own Meta kernels do not tell of: matrix products and softmaxes.
#pragma once

#include <cstdint>

namespace sbp::profiler {

// While it lives, each of this thread's on Meta is logged as an operation, after its result was
// allocated: matrix products with their sizes; softmaxes whose backward is recorded with the blocks
// that they read and write, of which older versions of PyTorch kept both (profiler/predict).
class OperationWatch {
 public:
  OperationWatch();
  ~OperationWatch();
  OperationWatch(const OperationWatch&) = delete;
  OperationWatch& operator=(const OperationWatch&) = delete;

 private:
  std::uint64_t handle_;
};

}  // namespace sbp::profiler
