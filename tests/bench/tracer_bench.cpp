// What recording costs: nanoseconds an allocate-free pair with LibTorch's own allocator, with
// the counting one, and while a trace records; and the same for a saved tensor and a layer scope.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/ones.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "profiler/torch/tracer.h"
#include "sbp/base/scope.h"

namespace {

using sbp::DeviceId;
using sbp::profiler::Tracer;

constexpr int kRepeats = 15;
constexpr int kCalls = 20'000;

// Processor time of this thread, because on a shared machine the wall's is mostly waiting.
double thread_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <typename Body>
double nanoseconds_a_call(const Body& body) {
  const double start = thread_nanoseconds();
  for (int i = 0; i < kCalls; ++i) body();
  return (thread_nanoseconds() - start) / kCalls;
}

struct Quartiles {
  double low;
  double median;
  double high;
};

Quartiles quartiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 4], values[values.size() / 2], values[values.size() * 3 / 4]};
}

void print(const char* what, const std::vector<double>& values) {
  const Quartiles q = quartiles(values);
  std::printf("%-46s %8.1f ns  [%.1f, %.1f]\n", what, q.median, q.low, q.high);
}

// Runs `body` with and without a trace, in turns, so that drift of the machine hits both.
template <typename Body>
void compare(const std::string& what, int records_a_call, const Body& body) {
  const sbp::LayerTable layers;
  std::vector<double> off;
  std::vector<double> on;
  std::vector<double> a_record;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    off.push_back(nanoseconds_a_call(body));
    Tracer tracer({.device = {}, .buffer_records = (records_a_call + 1) * kCalls}, layers);
    on.push_back(nanoseconds_a_call(body));
    if (tracer.stop().dropped_records != 0) std::printf("records were dropped\n");
    a_record.push_back((on.back() - off.back()) / records_a_call);
  }
  print((what + ", no trace").c_str(), off);
  print((what + ", tracing").c_str(), on);
  print("    a record costs", a_record);
}

void compare_raw_allocation(c10::Allocator& own) {
  c10::Allocator& counting = *c10::GetCPUAllocator();
  std::vector<double> default_ns;
  std::vector<double> counting_ns;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    default_ns.push_back(nanoseconds_a_call([&] { own.allocate(4096); }));
    counting_ns.push_back(nanoseconds_a_call([&] { counting.allocate(4096); }));
  }
  print("allocate + free 4 KiB, LibTorch's allocator", default_ns);
  print("allocate + free 4 KiB, counting allocator", counting_ns);
}

}  // namespace

int main() {
  at::set_num_threads(1);
  c10::Allocator& own = *c10::GetDefaultCPUAllocator();
  sbp::profiler::install_torch_hooks();
  c10::Allocator& counting = *c10::GetCPUAllocator();

  compare_raw_allocation(own);
  compare("allocate + free 4 KiB", 2, [&] { counting.allocate(4096); });
  compare("at::empty({1024})", 2, [] { at::empty({1024}); });
  const at::Tensor x = at::ones({16}).requires_grad_(true);
  compare("exp({16}), saves its output", 4, [&] { at::exp(x); });  // block and save, twice each
  compare("layer scope", 2, [] { const sbp::ScopedLayer scope(0); });
}
