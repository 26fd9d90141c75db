// The main of torch_tests: one thread, so that sums come in one order, and the tracer's hooks in
// place before the first tensor.
#define DOCTEST_CONFIG_IMPLEMENT
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include "profiler/torch/tracer.h"

int main(int argc, char** argv) {
  at::set_num_threads(1);
  at::set_num_interop_threads(1);
  sbp::profiler::install_torch_hooks();
  doctest::Context context;
  context.applyCommandLine(argc, argv);
  return context.run();
}
