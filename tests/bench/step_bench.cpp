// A ViT-Tiny 224 training step at batch 8: its parts, what tracing costs it, and full backward
// against sbp at one half. Everything that is compared runs interleaved, in random order.
//
// step_bench [pairs]
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "profiler/torch/tracer.h"
#include "tests/bench/subject.h"

namespace sbp::experiments {
namespace {

Subject subject(const std::string& strategy) {
  RunOptions options;
  options.strategy = strategy;
  return Subject(options);
}

void print_comparison(const char* name, int pairs, const std::function<double()>& a,
                      const std::function<double()>& b) {
  const Comparison result = compare(pairs, a, b);
  std::printf("%-34s ratio %.3f [%.3f, %.3f]  medians %.1f and %.1f ms, %d pairs\n", name,
              result.ratio, result.low, result.high, 1e3 * result.median_a, 1e3 * result.median_b,
              pairs);
}

// Nanoseconds that recording adds to one allocate or free record.
double nanoseconds_a_record() {
  constexpr int kBlocks = 200'000;
  const auto lap = [] {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kBlocks; ++i) (void)at::empty({1024}, at::dtype(at::kFloat));
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
        .count();
  };
  std::vector<double> added;
  for (int round = 0; round < 9; ++round) {
    const double off = lap();
    LayerTable layers;
    profiler::Tracer tracer({.device = {}}, layers);
    const double on = lap();
    tracer.stop();
    added.push_back((on - off) / (2.0 * kBlocks));
  }
  return median(added);
}

// Steps of both in turn, so that what else the machine does falls on both.
void print_parts(Subject& full, Subject& dropping, int steps) {
  const auto print = [&](const char* name, const std::vector<StepDurations>& durations) {
    const auto column = [&](double StepDurations::*part) {
      std::vector<double> values;
      for (const StepDurations& seconds : durations) values.push_back(seconds.*part);
      return 1e3 * median(values);
    };
    std::printf("%-34s forward %.1f, backward %.1f, optimizer %.1f ms (medians of %d steps)\n",
                name, column(&StepDurations::forward), column(&StepDurations::backward),
                column(&StepDurations::optimizer), steps);
  };
  std::vector<StepDurations> of_full, of_dropping;
  for (int i = 0; i < steps; ++i) {
    of_full.push_back(full.step());
    of_dropping.push_back(dropping.step());
  }
  print("full", of_full);
  print("sbp:keep=0.5", of_dropping);
}

int run(int pairs) {
  Subject full = subject("full"), dropping = subject("sbp:keep=0.5");
  print_parts(full, dropping, pairs);
  const auto plain = [&] { return full.step().step; };
  print_comparison(
      "sbp:keep=0.5 / full", pairs, [&] { return dropping.step().step; }, plain);
  print_comparison(
      "traced / untraced", pairs, [&] { return full.traced().result.seconds.step; }, plain);
  print_comparison("control: untraced / untraced", pairs, plain, plain);

  const profiler::LedgerCheck ledger = full.traced().memory.ledger;
  const std::int64_t records = ledger.allocate_events + ledger.free_events;
  const double each = nanoseconds_a_record();
  const double step = full.step().step;
  std::printf("%-34s %lld block records x %.0f ns = %.3f ms of a %.1f ms step: %.4f %%\n",
              "tracing cost", static_cast<long long>(records), each,
              static_cast<double>(records) * each * 1e-6, 1e3 * step,
              100.0 * static_cast<double>(records) * each * 1e-9 / step);
  return 0;
}

}  // namespace
}  // namespace sbp::experiments

int main(int argc, char** argv) {
  return sbp::experiments::run(argc > 1 ? std::max(4, std::atoi(argv[1])) : 20);
}
