// Saved bytes of each ViT block against closed formulas, on CPU and on Meta.
#include <algorithm>

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

// What a dropping block saves, of `k` kept rows: the whole set of paths and ways to keep.
struct Path {
  std::string strategy;
  bool project_kept = true;
  std::int64_t mlp = 6;  // of kept rows: 6 as one node, 10 stored, 1 recomputed
};

// Statistics of the second norm; recomputing saves its input only.
std::int64_t mlp_floats(const Path& path, std::int64_t k) {
  return path.mlp == 1 ? 0 : 2 * k;
}

// DESIGN: proj=kept 4 + 12p, proj=all 5 + 11p (fused keeps the output beside it: 5 + 12p), with
// the MLP stored; LN1, the packed projection's input, k and v for all rows.
Units query_block(const Path& path, bool fused, std::int64_t k) {
  return {.all = path.project_kept ? 4 : 5,
          .kept = (path.project_kept || fused ? 2 : 1) + path.mlp,
          .row_floats = kHeads * k * (fused ? 1 : kTokens) + 2 * kTokens + mlp_floats(path, k),
          .index_bytes = kIndex * k};
}

// Everything for kept rows only, which see each other; proj=all adds its input for all rows.
Units qkv_block(const Path& path, bool fused, std::int64_t k) {
  return {.all = path.project_kept ? 0 : 1,
          .kept = (path.project_kept || fused ? 6 : 5) + path.mlp,
          .row_floats = kHeads * k * (fused ? 1 : k) + 2 * k + mlp_floats(path, k),
          .index_bytes = kIndex * k};
}

// Keys and values of all rows are needed, but only as numbers.
Units qkv_exact_block(const Path& path, bool fused, std::int64_t k) {
  return {.all = 2,
          .kept = 4 + path.mlp,
          .row_floats = kHeads * k * (fused ? 1 : kTokens) + 2 * k + mlp_floats(path, k),
          .index_bytes = kIndex * k};
}

// `dropping` is what blocks `first` to `last` save, the others are full.
void check_blocks(const reports::ProfileReport& report, const Units& dropping, bool fused,
                  std::int64_t k, std::pair<std::int64_t, std::int64_t> range = {2, kDepth - 1}) {
  for (std::int64_t block = 0; block < kDepth; ++block) {
    const bool drops = block >= range.first && block <= range.second;
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

template <typename Formula>
void check_paths(const std::vector<Path>& paths, const Formula& formula,
                 std::pair<std::int64_t, std::int64_t> range = {2, kDepth - 1}) {
  for (const std::string device : {"cpu", "meta"}) {
    for (const bool fused : {false, true}) {
      for (const Path& path : paths) {
        const auto report = measure({.strategy = path.strategy,
                                     .device = device,
                                     .attention = fused ? "fused" : "eager",
                                     .batch = kBatch});
        CAPTURE(device);
        CAPTURE(fused);
        CAPTURE(path.strategy);
        CHECK(report.memory.ledger.balanced);
        const std::int64_t k = kept_of(report);
        check_blocks(report, formula(path, fused, k), fused, k, range);
      }
    }
  }
}

TEST_CASE("saved bytes of a block equal the closed formula, CPU and Meta") {
  check_paths({{.strategy = "full"}},
              [](const Path&, bool fused, std::int64_t) { return full_block(fused); });
  check_paths({{.strategy = "sbp:keep=0.5"},
               {.strategy = "sbp:keep=0.25"},
               {.strategy = "sbp:keep=0.6,mask=exact"},
               {.strategy = "sbp:keep=0.3,mask=stratified"},
               {.strategy = "sbp:keep=0.75,mask=random,mlp=store", .mlp = 10},
               {.strategy = "sbp:keep=0.5,mlp=recompute", .mlp = 1},
               {.strategy = "sbp:keep=0.5,mlp=store+recompute:part=mlp,layers=2-4", .mlp = 1},
               {.strategy = "sbp:keep=0.5,proj=all", .project_kept = false}},
              query_block);
}

TEST_CASE("inputs=all keeps what norm and projection before attention read of dropped rows too") {
  for (const bool fused : {false, true}) {
    MeasuredOptions options{.strategy = "sbp:attention=qkv,layers=1-3,compat=released",
                            .device = "meta",
                            .attention = fused ? "fused" : "eager",
                            .batch = kBatch};
    const auto kept = measure(options);
    options.strategy += ",inputs=all";
    const auto all = measure(options);
    const std::int64_t dropped = kBatch * (kTokens - kept_of(kept));
    // Two inputs of fp32, and two statistics a row.
    const std::int64_t more = dropped * (8 * kWidth + 8);
    for (const char* block : {"blocks.1", "blocks.2", "blocks.3"}) {
      CHECK(layer(all.memory, block).saved.distinct_bytes -
                layer(kept.memory, block).saved.distinct_bytes ==
            more);
    }
    options.device = "cpu";
    CHECK(measure(options).memory.saved == all.memory.saved);
  }
}

TEST_CASE("blocks whose value or keys drop save what their formula says") {
  const std::pair<std::int64_t, std::int64_t> middle{1, 3};
  check_paths({{.strategy = "sbp:attention=qkv,layers=1-3"},
               {.strategy = "sbp:attention=qkv,layers=1-3,keep=0.25,mlp=store", .mlp = 10},
               {.strategy = "sbp:attention=qkv,layers=1-3,compat=released",
                .project_kept = false,
                .mlp = 10}},
              qkv_block, middle);
  check_paths({{.strategy = "sbp:attention=qkv_exact"},
               {.strategy = "sbp:attention=qkv_exact,keep=0.25,mlp=recompute", .mlp = 1}},
              qkv_exact_block);
}

TEST_CASE("rows that departed are saved by no later block, and their index by the first alone") {
  for (const std::string device : {"cpu", "meta"}) {
    for (const bool fused : {false, true}) {
      const auto report = measure({.strategy = "sbp:attention=qkv",
                                   .device = device,
                                   .attention = fused ? "fused" : "eager",
                                   .batch = kBatch});
      CAPTURE(device);
      CAPTURE(fused);
      const std::int64_t k = kept_of(report);
      Units units = qkv_block({}, fused, k);
      for (std::int64_t block = 0; block < kDepth; ++block) {
        CAPTURE(block);
        units.index_bytes = block == 2 ? kIndex * k : 0;
        CHECK(layer(report.memory, concat("blocks.", block)).saved.distinct_bytes ==
              bytes(block < 2 ? full_block(fused) : units, k));
      }
      // The last norm sees kept rows only.
      CHECK(layer(report.memory, "norm").saved.distinct_bytes ==
            kFloat * kBatch * (k * kWidth + 2 * k));
    }
  }
}

TEST_CASE("the plan's rows are those that carry gradient, inside of what drops and after it") {
  const auto kept = [](const std::string& strategy, const std::string& site) {
    const auto report = measure({.strategy = strategy, .device = "meta"});
    const auto entry = std::ranges::find(report.plan, site, &reports::PlanEntry::site);
    REQUIRE(entry != report.plan.end());
    return entry->kept_rows;
  };
  const std::int64_t k = 33, n = kTokens;
  CHECK(kept("sbp", "blocks.3.mlp.fc1") == k);
  CHECK(kept("sbp", "blocks.3.attn.qkv") == n);
  CHECK(kept("sbp", "blocks.3.attn.proj") == k);
  CHECK(kept("sbp:proj=all", "blocks.3.attn.proj") == n);
  CHECK(kept("sbp:attention=qkv_exact,proj=all", "blocks.3.attn.qkv") == k);
  CHECK(kept("sbp:attention=qkv_exact,proj=all", "blocks.3.attn.proj") == n);
  for (const std::string site : {"blocks.2.attn_add", "blocks.2.attn.qkv", "blocks.4.mlp.fc2",
                                 "blocks.4.mlp_add", "blocks.3.attn_add"}) {
    CAPTURE(site);
    CHECK(kept("sbp:attention=qkv", site) == k);
  }
  CHECK(kept("sbp:attention=qkv", "blocks.1.mlp.fc1") == n);
}

TEST_CASE("the plan names all who claim a site, and heads are a keep ratio, too") {
  const auto both = measure({.strategy = "sbp+dropit", .device = "meta"});
  const auto entry = std::ranges::find(both.plan, "blocks.3.attn.proj", &reports::PlanEntry::site);
  REQUIRE(entry != both.plan.end());
  CHECK(entry->claimed_by.find("sbp:") != std::string::npos);
  CHECK(entry->claimed_by.find("dropit:") != std::string::npos);
  const auto heads =
      measure({.strategy = "sbp:attention=head,mlp=off,keep=0.01,layers=all", .device = "meta"});
  CHECK(heads.strategy.effective_keep_ratio < 0.5);
}

TEST_CASE("kept heads save their q, k, v and map for all rows") {
  for (const std::string device : {"cpu", "meta"}) {
    for (const bool fused : {false, true}) {
      const auto report = measure({.strategy = "sbp:attention=head,mlp=off,layers=all",
                                   .device = device,
                                   .attention = fused ? "fused" : "eager",
                                   .batch = kBatch});
      CAPTURE(device);
      CAPTURE(fused);
      bool some_dropped = false;
      for (std::int64_t block = 0; block < kDepth; ++block) {
        const std::string name = concat("blocks.", block);
        const auto entry =
            std::ranges::find(report.plan, name + ".attn", &reports::PlanEntry::site);
        const std::int64_t heads = entry->kept_rows;
        CAPTURE(block);
        CAPTURE(heads);
        CHECK(entry->rows == kHeads);
        some_dropped = some_dropped || heads < kHeads;
        const std::int64_t head_width = kWidth / kHeads;
        const std::int64_t map =
            fused ? (heads > 0 ? heads * kTokens : 0) : heads * kTokens * kTokens;
        const std::int64_t of_heads = heads * kTokens * head_width;
        const bool all = heads == kHeads;
        CHECK(layer(report.memory, name).saved.distinct_bytes ==
              kFloat * kBatch *
                      (13 * kTokens * kWidth + (fused && !all && heads > 0 ? 4 : 3) * of_heads +
                       map + 4 * kTokens) +
                  (all ? 0 : kIndex * heads));
      }
      CHECK(some_dropped);
    }
  }
}

TEST_CASE("masks of samples cost their index, and nothing else") {
  check_paths({{.strategy = "sbp:keep=0.5,share=sample"}},
              [](const Path& path, bool fused, std::int64_t k) {
                Units units = query_block(path, fused, k);
                units.index_bytes *= kBatch;
                return units;
              });
}

TEST_CASE("recomputing keeps a branch's input, an MLP's, or all but one of its activations") {
  const std::pair<std::int64_t, std::int64_t> all{0, kDepth - 1};
  const auto floats = [](bool fused) { return full_block(fused).row_floats; };
  check_paths(
      {{.strategy = "recompute"}}, [](const Path&, bool, std::int64_t) { return Units{.all = 2}; },
      all);
  check_paths(
      {{.strategy = "recompute:part=mlp"}},
      [&](const Path&, bool fused, std::int64_t) {
        return Units{.all = 7, .row_floats = floats(fused) - 2 * kTokens};
      },
      all);
  check_paths(
      {{.strategy = "recompute:part=activation"}},
      [&](const Path&, bool fused, std::int64_t) {
        return Units{.all = 12, .row_floats = floats(fused)};
      },
      all);
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
                .kept = 6,
                .row_floats = kHeads * kTokens * kTokens + 2 * kTokens + 2 * j,
                .index_bytes = kIndex * j},
               false, j);
}

TEST_CASE("every layer saves the same on CPU and on Meta") {
  for (const std::string attention : {"eager", "fused"}) {
    for (const std::string strategy :
         {"full", "sbp:keep=0.5", "sbp:keep=0.25,proj=all", "sbp:attention=qkv",
          "sbp:attention=qkv_exact,share=none,mask=exact", "sbp:attention=head,compat=released",
          "sbp:unbiased=yes,share=layer", "sbp+recompute"}) {
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
