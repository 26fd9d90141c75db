// How many requests and frees a second the simulated caching allocator takes.
//
// allocator_bench [OPERATIONS [ROUNDS]]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "profiler/predict/caching_allocator.h"

namespace {

using namespace sbp::predict;

// A request for `bytes`, or, with 0 bytes, the end of what `slot` holds.
struct Operation {
  std::uint32_t slot = 0;
  std::int64_t bytes = 0;
};

struct Workload {
  std::string name;
  std::vector<Operation> operations;
  std::uint32_t slots = 0;
  std::size_t most_live = 0;
};

class Writer {
 public:
  explicit Writer(std::string name) { workload_.name = std::move(name); }

  std::uint32_t allocate(std::int64_t bytes) {
    if (unused_.empty()) unused_.push_back(workload_.slots++);
    const std::uint32_t slot = unused_.back();
    unused_.pop_back();
    workload_.operations.push_back({slot, bytes});
    workload_.most_live = std::max(workload_.most_live, ++live_);
    return slot;
  }

  void free(std::uint32_t slot) {
    workload_.operations.push_back({slot, 0});
    unused_.push_back(slot);
    --live_;
  }

  std::size_t size() const { return workload_.operations.size(); }
  Workload take() { return std::move(workload_); }

 private:
  Workload workload_;
  std::vector<std::uint32_t> unused_;
  std::size_t live_ = 0;
};

// From `smallest` to `largest`, each power of two as often as the others.
std::int64_t random_bytes(std::mt19937& random, double smallest, double largest) {
  std::uniform_real_distribution<double> exponent(std::log2(smallest), std::log2(largest));
  return static_cast<std::int64_t>(std::exp2(exponent(random)));
}

// `live` blocks of random sizes; each time a random one goes and another comes.
Workload random_workload(std::size_t live, std::size_t operations) {
  std::mt19937 random(1);
  Writer writer("random sizes, random order");
  std::vector<std::uint32_t> held;
  while (held.size() < live) held.push_back(writer.allocate(random_bytes(random, 64, 3e7)));
  while (writer.size() < operations) {
    std::uint32_t& slot = held[random() % held.size()];
    writer.free(slot);
    slot = writer.allocate(random_bytes(random, 64, 3e7));
  }
  return writer.take();
}

// Steps of a model of `layers` layers: parameters and optimizer state stay, activations of random
// sizes live from forward to backward, gradients until the next step, temporaries shortly.
Workload training_workload(std::size_t layers, std::size_t operations) {
  std::mt19937 random(1);
  Writer writer("training steps");
  const auto draw = [&random](std::size_t count, double smallest, double largest) {
    std::vector<std::int64_t> sizes;
    while (sizes.size() < count) sizes.push_back(random_bytes(random, smallest, largest));
    return sizes;
  };
  const std::vector<std::int64_t> weights = draw(layers, 256, 8e6);
  const std::vector<std::int64_t> activations = draw(layers * 2, 4096, 3e7);
  const std::vector<std::int64_t> temporaries = draw(layers * 3, 512, 3e7);
  for (const std::int64_t bytes : weights) {
    for (int copy = 0; copy < 3; ++copy) writer.allocate(bytes);
  }
  const auto use = [&](std::size_t i) { writer.free(writer.allocate(temporaries[i])); };
  while (writer.size() < operations) {
    std::vector<std::uint32_t> saved, gradients;
    for (std::size_t i = 0; i < layers * 2; ++i) {
      use(i);
      saved.push_back(writer.allocate(activations[i]));
    }
    for (std::size_t i = layers * 2; i-- > 0;) {
      const std::uint32_t upstream = writer.allocate(activations[i]);
      use(i);
      writer.free(saved[i]);
      if (i % 2 == 0) gradients.push_back(writer.allocate(weights[i / 2]));
      writer.free(upstream);
    }
    for (std::size_t i = 0; i < layers; ++i) use(i + layers * 2);
    for (const std::uint32_t gradient : gradients) writer.free(gradient);
  }
  return writer.take();
}

// The allocator's own figures, so that nobody measures a replay that went wrong.
AllocatorStatistics replay(const Workload& workload, const AllocatorOptions& options) {
  CachingAllocator allocator(options);
  std::vector<std::optional<Handle>> held(workload.slots);
  for (const Operation& operation : workload.operations) {
    std::optional<Handle>& slot = held[operation.slot];
    if (operation.bytes > 0) {
      slot = allocator.allocate(operation.bytes);
    } else if (slot) {
      allocator.free(*slot);
    }
  }
  return allocator.statistics();
}

// The middle one, and the ends.
void print_rates(const char* what, std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  std::printf("  %s: %.1f million operations/s (%.1f to %.1f)\n", what,
              rates[rates.size() / 2] / 1e6, rates.front() / 1e6, rates.back() / 1e6);
}

void measure(const Workload& workload, const std::string& spec, int rounds) {
  const AllocatorOptions options = parse_allocator_options(spec);
  std::vector<double> by_processor_time, by_wall_time;
  AllocatorStatistics statistics;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t start_ticks = std::clock();
    statistics = replay(workload, options);
    const auto ticks = static_cast<double>(std::clock() - start_ticks);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const auto done = static_cast<double>(workload.operations.size());
    by_processor_time.push_back(done / (ticks / CLOCKS_PER_SEC));
    by_wall_time.push_back(done / seconds.count());
  }
  std::printf("%s, %zu live at most, %s: %zu operations, median of %d rounds\n",
              workload.name.c_str(), workload.most_live, spec.c_str(), workload.operations.size(),
              rounds);
  std::printf("  peak reserved %.1f GiB, %lld retries, %lld out of memory\n",
              static_cast<double>(statistics.total.reserved.peak) / kGibibyte,
              static_cast<long long>(statistics.retries),
              static_cast<long long>(statistics.out_of_memory));
  print_rates("processor time", by_processor_time);
  print_rates("wall time", by_wall_time);
}

}  // namespace

int main(int argc, char** argv) {
  const long operations = argc > 1 ? std::atol(argv[1]) : 4'000'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 7;
  if (operations < 1 || rounds < 1) {
    std::fprintf(stderr, "usage: allocator_bench [OPERATIONS [ROUNDS]], both at least 1\n");
    return 2;
  }
  const auto size = static_cast<std::size_t>(operations);
  const Workload small = training_workload(100, size);
  const Workload large = training_workload(8000, size);
  for (const char* spec : {"native", "expandable_segments=true"}) {
    measure(small, spec, rounds);
    measure(large, spec, rounds);
    measure(random_workload(200, size), spec, rounds);
    measure(random_workload(20000, size), spec, rounds);
  }
  measure(small, "limit_bytes=1500000000,garbage_collection_threshold=0.8", rounds);
  return 0;
}
