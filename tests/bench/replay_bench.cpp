// How many records a second the ledger replays, on a mixture like that of a ViT's training steps.
//
// replay_bench [RECORDS [ROUNDS]]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "profiler/ledger.h"
#include "profiler/record.h"

namespace {

using namespace sbp;
using namespace sbp::profiler;

constexpr int kLayers = 126;            // a 12-block ViT
constexpr int kTemporariesForward = 6;  // pairs of allocate and free a layer
constexpr int kTemporariesBackward = 9;
constexpr int kSaves = 2;
constexpr int kParameters = 460;  // with gradients and optimizer state: live throughout

// Writes steps record by record; freed addresses are handed out again, last first.
class StepWriter {
 public:
  explicit StepWriter(Trace& trace) : trace_(trace) {
    for (int i = 0; i < kLayers; ++i) {
      trace_.layers.push_back({"blocks." + std::to_string(i / 10) + "." + std::to_string(i), ""});
    }
    for (int i = 0; i < kParameters; ++i) {
      const Held block = allocate(kNoNode, kNoLayer);
      add({.address = block.address,
           .layer = i % kLayers,
           .kind = RecordKind::tag,
           .detail = static_cast<std::uint8_t>(Category::parameter)});
    }
  }

  void write_step() {
    enter(Phase::forward);
    for (LayerId layer = 0; layer < kLayers; ++layer) forward(layer);
    enter(Phase::backward);
    for (LayerId layer = kLayers - 1; layer >= 0; --layer) backward(layer);
    enter(Phase::optimizer_step);
    for (const Held& gradient : gradients_) free(gradient, kNoNode, kNoLayer);
    gradients_.clear();
  }

  void finish() { trace_.live_at_end_bytes = live_bytes_; }

 private:
  struct Held {
    std::uint64_t address;
    std::int64_t bytes;
  };
  struct Saved {
    Held block;
    std::uint64_t number;
  };

  void add(Record record) {
    record.time_ns = trace_.records.size() * 70;
    trace_.records.push_back(record);
  }

  void enter(Phase phase) {
    add({.bytes = live_bytes_,
         .kind = RecordKind::phase,
         .detail = static_cast<std::uint8_t>(phase)});
  }

  Held allocate(std::uint64_t node, LayerId layer) {
    if (free_addresses_.empty()) {
      next_address_ += 64 * (1 + random_() % 4096);
      free_addresses_.push_back(next_address_);
    }
    const Held block{free_addresses_.back(), static_cast<std::int64_t>(4 + random_() % 1'000'000)};
    free_addresses_.pop_back();
    live_bytes_ += block.bytes;
    add({.address = block.address,
         .bytes = block.bytes,
         .node = node,
         .layer = layer,
         .kind = RecordKind::allocate});
    return block;
  }

  void free(const Held& block, std::uint64_t node, LayerId layer) {
    live_bytes_ -= block.bytes;
    free_addresses_.push_back(block.address);
    add({.address = block.address,
         .bytes = block.bytes,
         .node = node,
         .layer = layer,
         .kind = RecordKind::free});
  }

  void forward(LayerId layer) {
    add({.node = next_node_, .layer = layer, .kind = RecordKind::layer_enter});
    for (int i = 0; i < kTemporariesForward; ++i) free(allocate(kNoNode, layer), kNoNode, layer);
    for (int i = 0; i < kSaves; ++i) {
      const Held block = allocate(kNoNode, layer);
      add({.address = block.address,
           .bytes = block.bytes,
           .node = next_save_,
           .layer = layer,
           .kind = RecordKind::save});
      saved_.push_back({block, next_save_++});
    }
    next_node_ += 3;
    add({.node = next_node_, .layer = layer, .kind = RecordKind::layer_leave});
  }

  void backward(LayerId layer) {
    const auto from_last = static_cast<std::uint64_t>(kLayers - layer) * 3;
    const std::uint64_t node = next_node_ - from_last;
    for (int i = 0; i < kTemporariesBackward; ++i) free(allocate(node, kNoLayer), node, kNoLayer);
    for (int i = 0; i < kSaves; ++i) {
      const Saved saved = saved_.back();
      saved_.pop_back();
      add({.address = saved.block.address, .node = saved.number, .kind = RecordKind::release});
      free(saved.block, node, kNoLayer);
    }
    gradients_.push_back(allocate(node, kNoLayer));
    add({.address = gradients_.back().address,
         .kind = RecordKind::tag,
         .detail = static_cast<std::uint8_t>(Category::gradient)});
  }

  Trace& trace_;
  std::mt19937 random_{1};
  std::vector<std::uint64_t> free_addresses_;
  std::uint64_t next_address_ = 0x7f0000000000;
  std::uint64_t next_node_ = 0;
  std::uint64_t next_save_ = 0;
  std::int64_t live_bytes_ = 0;
  std::vector<Saved> saved_;
  std::vector<Held> gradients_;
};

Trace make_trace(std::size_t records) {
  Trace trace;
  StepWriter writer(trace);
  do writer.write_step();
  while (trace.records.size() < records);
  writer.finish();
  return trace;
}

bool replay(const Trace& trace, std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) {
    const LedgerCheck check = analyse(trace).ledger;
    if (check.balanced) continue;
    std::fprintf(stderr, "replay_bench: %s\n", check.first_problem.c_str());
    return false;
  }
  return true;
}

// The middle one, and the ends.
void print_rates(const char* what, std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  std::printf("  %s: %.1f million records/s (%.1f to %.1f)\n", what, rates[rates.size() / 2] / 1e6,
              rates.front() / 1e6, rates.back() / 1e6);
}

// Each round replays the trace as often as makes about `records` records. On a machine shared with
// others the rate by processor time says more.
bool measure(const char* what, const Trace& trace, std::size_t records, int rounds) {
  const std::size_t times = std::max<std::size_t>(1, records / trace.records.size());
  const auto replayed = static_cast<double>(times * trace.records.size());
  std::vector<double> by_processor_time, by_wall_time;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t start_ticks = std::clock();
    if (!replay(trace, times)) return false;
    const auto ticks = static_cast<double>(std::clock() - start_ticks);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    by_processor_time.push_back(replayed / (ticks / CLOCKS_PER_SEC));
    by_wall_time.push_back(replayed / seconds.count());
  }
  std::printf("replay of %s, %zu records, median of %d rounds\n", what, trace.records.size(),
              rounds);
  print_rates("processor time", by_processor_time);
  print_rates("wall time", by_wall_time);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const long records = argc > 1 ? std::atol(argv[1]) : 4'000'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 7;
  if (records < 1 || rounds < 1) {
    std::fprintf(stderr, "usage: replay_bench [RECORDS [ROUNDS]], both at least 1\n");
    return 2;
  }
  const auto size = static_cast<std::size_t>(records);
  const bool fine = measure("one step", make_trace(1), size, rounds) &&
                    measure("many steps", make_trace(size), size, rounds);
  return fine ? 0 : 1;
}
