// Logs the matrix products of this thread, which LibTorch's own Meta kernels do not tell of.
#pragma once

#include <cstdint>

namespace sbp::profiler {

// While it lives, each matrix product on Meta is logged as an operation, before its result is
// allocated.
class ProductWatch {
 public:
  ProductWatch();
  ~ProductWatch();
  ProductWatch(const ProductWatch&) = delete;
  ProductWatch& operator=(const ProductWatch&) = delete;

 private:
  std::uint64_t handle_;
};

}  // namespace sbp::profiler
