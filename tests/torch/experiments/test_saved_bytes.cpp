// Saved bytes of each ViT block against closed formulas, on CPU and on Meta.
#include "experiments/runs/profile_run.h"
#include "sbp/base/error.h"
#include "tests/torch/experiments/measured_step.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::tests {
namespace {

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kFloat = 4, kIndex = 8;

// Elements of a block, a sample: units are [rows, width].
struct Units {
  std::int64_t all = 0;         // of all N rows
  std::int64_t kept = 0;        // of the k kept rows
  std::int64_t row_floats = 0;  // map or row sums of the attention, and norm statistics
  std::int64_t index_bytes = 0;
};

std::int64_t bytes(const Units& units, std::int64_t kept) {
  return kFloat * kBatch *
             (units.all * kTokens * kWidth + units.kept * kept * kWidth + units.row_floats) +
         units.index_bytes;
}

// A block that drops nothing: 16 units, the map (eager) or row sums (fused), two norms' statistics.
Units full_block(bool fused) {
  return {.all = 16, .row_floats = kHeads * kTokens * (fused ? 1 : kTokens) + 4 * kTokens};
}

struct Case {
  std::string strategy;
  bool fused;
  Units dropping;  // with k kept rows filled in by the test
};

// DESIGN: proj=kept 4 + 12p, proj=all 5 + 11p (fused keeps the output beside it: 5 + 12p).
Units sbp_block(bool fused, bool project_kept, std::int64_t k) {
  return {.all = project_kept ? 4 : 5,
          .kept = project_kept || fused ? 12 : 11,
          .row_floats = kHeads * k * (fused ? 1 : kTokens) + 2 * kTokens + 2 * k,
          .index_bytes = kIndex * k};
}

void check_blocks(const reports::ProfileReport& report, const Units& dropping, bool fused,
                  std::int64_t k) {
  for (std::int64_t block = 0; block < kDepth; ++block) {
    const bool drops = block >= 2;  // the last round(2/3 * 5) = 3
    const auto& saved = layer(report.memory, concat("blocks.", block)).saved;
    CAPTURE(block);
    CHECK(saved.distinct_bytes == bytes(drops ? dropping : full_block(fused), k));
    // Only the step's index is shared between blocks.
    CHECK(saved.marginal_bytes == saved.distinct_bytes - (drops ? dropping.index_bytes : 0));
    CHECK(saved.index_bytes == (drops ? dropping.index_bytes : 0));
  }
}

std::int64_t kept_of(const reports::ProfileReport& report) {
  for (const reports::PlanEntry& entry : report.plan) {
    if (entry.keep_ratio) return entry.kept_rows;
  }
  return kTokens;
}

TEST_CASE("saved bytes of a block equal the closed formula, CPU and Meta") {
  for (const std::string device : {"cpu", "meta"}) {
    for (const bool fused : {false, true}) {
      for (const std::string strategy : {"full", "sbp:keep=0.5", "sbp:keep=0.25",
                                         "sbp:keep=0.75,mask=random", "sbp:keep=0.5,proj=all"}) {
        const auto report = measure({.strategy = strategy,
                                     .device = device,
                                     .attention = fused ? "fused" : "eager",
                                     .batch = kBatch});
        const std::int64_t k = kept_of(report);
        CAPTURE(device);
        CAPTURE(fused);
        CAPTURE(strategy);
        const bool all = strategy.find("proj=all") != std::string::npos;
        const Units dropping = strategy == "full" ? full_block(fused) : sbp_block(fused, !all, k);
        check_blocks(report, dropping, fused, k);
      }
    }
  }
}

TEST_CASE("attention alone and MLP alone drop their own part") {
  const auto attention_only = measure({.strategy = "sbp:keep=0.5,mlp=off", .batch = kBatch});
  const std::int64_t k = kept_of(attention_only);
  // LN1, qkv-in, k, v and the whole MLP for all rows; q and proj-in for kept ones.
  check_blocks(attention_only,
               {.all = 4 + 10,
                .kept = 2,
                .row_floats = kHeads * k * kTokens + 4 * kTokens,
                .index_bytes = kIndex * k},
               false, k);
  const auto mlp_only = measure({.strategy = "sbp:keep=0.5,attention=none", .batch = kBatch});
  const std::int64_t j = kept_of(mlp_only);
  check_blocks(mlp_only,
               {.all = 6,
                .kept = 10,
                .row_floats = kHeads * kTokens * kTokens + 2 * kTokens + 2 * j,
                .index_bytes = kIndex * j},
               false, j);
}

TEST_CASE("every layer saves the same on CPU and on Meta") {
  for (const std::string attention : {"eager", "fused"}) {
    for (const std::string strategy : {"full", "sbp:keep=0.5", "sbp:keep=0.25,proj=all"}) {
      const auto cpu = measure({.strategy = strategy, .attention = attention}).memory;
      const auto meta =
          measure({.strategy = strategy, .device = "meta", .attention = attention}).memory;
      CAPTURE(attention);
      CAPTURE(strategy);
      CHECK(cpu.saved == meta.saved);
      for (const auto& row : cpu.layers) {
        CAPTURE(row.name);
        CHECK(row.saved == layer(meta, row.name).saved);
      }
    }
  }
}

TEST_CASE("the books of a step balance and know nearly every byte") {
  for (const std::string device : {"cpu", "meta"}) {
    for (const std::string strategy : {"full", "sbp:keep=0.5"}) {
      const auto memory = measure({.strategy = strategy, .device = device}).memory;
      CAPTURE(memory.ledger.first_problem);
      CHECK(memory.ledger.balanced);
      CHECK(memory.ledger.dropped_events == 0);
      CHECK(memory.ledger.unmatched_frees == 0);
      const auto unknown = memory.categories_at_peak[static_cast<int>(profiler::Category::unknown)];
      CHECK(100 * unknown < memory.peak.bytes);
      std::int64_t rows = 0;
      for (const auto& row : memory.layers) rows += row.own_peak_bytes;
      CHECK(rows == memory.peak.bytes);
    }
  }
}

TEST_CASE("what a dropping block passes on without saving it is temporary, not unknown") {
  for (const std::string attention : {"eager", "fused"}) {
    const auto memory = measure({.strategy = "sbp:keep=0.1,layers=all",
                                 .device = "meta",
                                 .attention = attention,
                                 .batch = 32})
                            .memory;
    const auto unknown = memory.categories_at_peak[static_cast<int>(profiler::Category::unknown)];
    CHECK(100 * unknown < memory.peak.bytes);
  }
}

std::int64_t at_peak(const reports::ProfileReport& report, profiler::Category category) {
  return report.memory.categories_at_peak[static_cast<std::size_t>(category)];
}

TEST_CASE("older gradients and newborn state are known") {
  experiments::ProfileOptions options;
  options.model = "mlp:image=16,channels=3,classes=10,hidden=256";
  options.device = "meta";
  options.batch = 1;
  options.time_steps = 0;
  options.warmup = 0;
  // The peak is in the update: parameters, gradients, both moments, and temporaries.
  const auto first = experiments::run_profile(options);
  const std::int64_t parameters = first.model.parameter_bytes;
  CHECK(first.memory.peak.phase == Phase::optimizer_step);
  CHECK(at_peak(first, profiler::Category::parameter) == parameters);
  CHECK(at_peak(first, profiler::Category::gradient) == parameters);
  CHECK(at_peak(first, profiler::Category::optimizer_state) > 0);
  CHECK(100 * at_peak(first, profiler::Category::unknown) < first.memory.peak.bytes);
  // Gradients of the last step live through the forward.
  options.warmup = 2;
  options.zero_grad = experiments::ZeroGrad::before_backward;
  options.optimizer = "sgd";
  options.batch = 4096;  // the forward's activations outweigh the update
  const auto later = experiments::run_profile(options);
  for (const auto& phase : later.memory.phases) {
    if (phase.phase == Phase::setup) CHECK(phase.live_at_end_bytes >= 2 * parameters);
  }
  std::int64_t old_gradients = 0;
  for (const auto& cell : later.memory.cells_at_peak) {
    if (cell.category == profiler::Category::gradient && cell.phase == Phase::setup) {
      old_gradients += cell.bytes;
    }
  }
  CHECK((later.memory.peak.phase == Phase::backward || old_gradients == parameters));
}

TEST_CASE("a bigger batch saves in proportion") {
  const auto two = measure({.device = "meta", .batch = 2}).memory.saved;
  const auto eight = measure({.device = "meta", .batch = 8}).memory.saved;
  // Everything saved is per sample but one number of the loss (the sum of class weights).
  CHECK(eight.distinct_bytes - 4 == 4 * (two.distinct_bytes - 4));
}

}  // namespace
}  // namespace sbp::tests
