// What strategies cost and save: one line each, saved bytes and peak of a traced step, and the step
// time against the first strategy's, interleaved.
//
// strategy_bench PAIRS MODEL BASELINE STRATEGY...
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sbp/base/error.h"
#include "tests/bench/subject.h"

namespace sbp::experiments {
namespace {

constexpr double kMebibyte = 1024.0 * 1024.0;

void print_bytes(const std::string& strategy, Subject& subject) {
  const profiler::MemoryProfile memory = subject.traced().memory;
  std::printf("%-64s saved %8.2f MiB  index %7.3f MiB  peak %8.2f  transient %7.2f\n",
              strategy.c_str(), static_cast<double>(memory.saved.distinct_bytes) / kMebibyte,
              static_cast<double>(memory.saved.index_bytes) / kMebibyte,
              static_cast<double>(memory.peak.bytes) / kMebibyte,
              static_cast<double>(memory.transient_peak_bytes) / kMebibyte);
}

int run(int pairs, const std::string& model, const std::vector<std::string>& strategies) {
  RunOptions options;
  options.model = model;
  const auto subject = [&](const std::string& strategy) {
    options.strategy = strategy;
    return std::make_unique<Subject>(options);
  };
  // Alone, so that a peak holds one model only.
  for (const std::string& strategy : strategies) print_bytes(strategy, *subject(strategy));
  const std::unique_ptr<Subject> baseline = subject(strategies.front());
  for (const std::string& strategy : std::span(strategies).subspan(1)) {
    const std::unique_ptr<Subject> other = subject(strategy);
    const Comparison time = compare(
        pairs, [&] { return other->step().step; }, [&] { return baseline->step().step; });
    std::printf("%-64s time %.3f [%.3f, %.3f] of %s, of the least %.3f\n", strategy.c_str(),
                time.ratio, time.low, time.high, strategies.front().c_str(), time.least_ratio);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace sbp::experiments

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: strategy_bench PAIRS MODEL BASELINE STRATEGY...\n");
    return 2;
  }
  try {
    return sbp::experiments::run(std::max(4, std::atoi(argv[1])), argv[2], {argv + 3, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "strategy_bench: %s\n", error.what());
    return 1;
  }
}
