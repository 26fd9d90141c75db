// Logs the softmaxes of this thread whose backward is recorded: which block each reads, and which
// it writes. Older versions of PyTorch kept both (profiler/predict).
#pragma once

#include <cstdint>

namespace sbp::profiler {

// While it lives, each such softmax on Meta is logged as an operation, after its result was
// allocated.
class SoftmaxWatch {
 public:
  SoftmaxWatch();
  ~SoftmaxWatch();
  SoftmaxWatch(const SoftmaxWatch&) = delete;
  SoftmaxWatch& operator=(const SoftmaxWatch&) = delete;

 private:
  std::uint64_t handle_;
};

}  // namespace sbp::profiler
