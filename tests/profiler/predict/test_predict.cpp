#include <doctest/doctest.h>

#include <numeric>
#include <random>

#include "profiler/predict/predict.h"
#include "profiler/predict/replay.h"
#include "tests/profiler/trace_builder.h"

using namespace sbp;
using namespace sbp::predict;
using profiler::Category;
using profiler::TraceBuilder;

namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// A card of 1 GiB without overheads.
DeviceProfile card() {
  return parse_device_profile("rtx3060:memory=1GiB,context=0,cublas_workspace=0");
}

// The same with a context.
DeviceProfile card(std::int64_t memory_bytes, std::int64_t context_bytes) {
  DeviceProfile device = card();
  device.memory_bytes = memory_bytes;
  device.context_bytes = context_bytes;
  return device;
}

// A weight of 3 MiB, and a step whose forward needs `activation_bytes` and a temporary of 5 MiB.
profiler::Trace small_step(std::int64_t activation_bytes) {
  TraceBuilder builder({"fc"});
  builder.allocate(0x1000, 3 * kMiB).tag(0x1000, Category::parameter, 0);
  builder.phase(Phase::setup).phase(Phase::forward).enter(0);
  builder.allocate(0x2000, activation_bytes).save(1, 0x2000, activation_bytes);
  builder.allocate(0x3000, 5 * kMiB).free(0x3000).leave(1);
  builder.phase(Phase::backward).node(0).allocate(0x4000, 3 * kMiB).release(1).free(0x2000);
  builder.tag(0x4000, Category::gradient, 0);
  return builder.trace();
}

std::int64_t sum_of(const Prediction& prediction) {
  std::int64_t sum = 0;
  for (const LayerBytes& layer : prediction.layers) sum += layer.requested_bytes;
  for (const NamedBytes& part : prediction.overheads) sum += part.bytes;
  return sum;
}

std::int64_t overhead(const Prediction& prediction, const std::string& name) {
  for (const NamedBytes& part : prediction.overheads) {
    if (part.name == name) return part.bytes;
  }
  return -1;
}

// A trace of random blocks in three layers, each freed sooner or later or never.
profiler::Trace random_trace(std::uint32_t seed) {
  std::mt19937 random(seed);
  TraceBuilder builder({"a", "b", "c"});
  std::vector<std::uint64_t> live;
  std::uint64_t next = 0x1000;
  for (int step = 0; step < 3; ++step) {
    builder.phase(Phase::setup).phase(Phase::forward);
    for (int i = 0; i < 200; ++i) {
      if (random() % 5 < 3 || live.empty()) {
        builder.enter(static_cast<LayerId>(random() % 3));
        const std::int64_t bytes =
            1 + static_cast<std::int64_t>(random() % (1U << (random() % 24)));
        builder.allocate(next, bytes).leave();
        live.push_back(next);
        next += 0x1000;
      } else {
        std::swap(live[random() % live.size()], live.back());
        builder.free(live.back());
        live.pop_back();
      }
    }
  }
  return builder.trace();
}

}  // namespace

TEST_CASE("a prediction by hand") {
  const Prediction prediction =
      predict::predict(workload_of(small_step(25 * kMiB)), card(1024 * kMiB, 100 * kMiB), {});
  CHECK(prediction.steps == 1);
  // The weight and the temporary share a segment of 20 MiB; the activation takes all of its own of
  // 26, whose last MiB is too little to split off.
  CHECK(prediction.peak_requested_bytes == 33 * kMiB);
  CHECK(prediction.peak_allocated_bytes == 34 * kMiB);
  CHECK(prediction.peak_reserved_bytes == 46 * kMiB);
  CHECK(prediction.peak_device_bytes == 146 * kMiB);
  CHECK(prediction.reserved_peak == Moment{1, Phase::forward, "fc"});
  CHECK(prediction.requests == 4);
  CHECK(prediction.segments == 2);
  // When blocks took the most; what is cached then is all else that was ever reserved.
  REQUIRE(prediction.layers.size() == 1);
  CHECK(prediction.layers[0].requested_bytes == 33 * kMiB);
  CHECK(prediction.layers[0].block_bytes == 34 * kMiB);
  CHECK(prediction.layers[0].categories[static_cast<std::size_t>(Category::activation)] ==
        25 * kMiB);
  CHECK(overhead(prediction, "rounding") == kMiB);
  CHECK(overhead(prediction, "cached") == 12 * kMiB);
  CHECK(overhead(prediction, "context") == 100 * kMiB);
  CHECK(sum_of(prediction) == prediction.peak_device_bytes);
  REQUIRE(prediction.fits);
  CHECK(prediction.fits->fits);
}

TEST_CASE("every byte has an owner, whatever the workload") {
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    const Workload workload = workload_of(random_trace(seed));
    for (const bool expandable : {false, true}) {
      AllocatorOptions options;
      options.expandable_segments = expandable;
      const Prediction prediction =
          predict::predict(workload, card(1024 * kMiB, 7 * kMiB), options);
      CHECK(sum_of(prediction) == prediction.peak_device_bytes);
      CHECK(prediction.peak_requested_bytes <= prediction.peak_allocated_bytes);
      CHECK(prediction.peak_allocated_bytes <= prediction.peak_reserved_bytes);
      CHECK(prediction.peak_device_bytes == prediction.peak_reserved_bytes + 7 * kMiB);
      CHECK(prediction == predict::predict(workload, card(1024 * kMiB, 7 * kMiB), options));
    }
  }
}

TEST_CASE("what does not fit is told, and its peak is still predicted") {
  const Workload workload = workload_of(small_step(25 * kMiB));
  const Prediction prediction = predict::predict(workload, card(50 * kMiB, 10 * kMiB), {});
  REQUIRE(prediction.fits);
  CHECK_FALSE(prediction.fits->fits);
  CHECK(prediction.fits->failed_bytes == 25 * kMiB);
  CHECK(prediction.fits->failed_at == Moment{1, Phase::forward, "fc"});
  CHECK(prediction.fits->peak_device_bytes == 30 * kMiB);
  CHECK(prediction.peak_reserved_bytes == 46 * kMiB);
  CHECK(try_batch(workload, card(56 * kMiB, 10 * kMiB), {}).plain.fits);
  // Room for the tensors, 33 MiB, and not for their segments; and not even that.
  const BatchTrial near = try_batch(workload, card(50 * kMiB, 10 * kMiB), {}).plain;
  CHECK_FALSE(near.fits);
  CHECK_FALSE(near.hopeless);
  CHECK(try_batch(workload, card(43 * kMiB - 1, 10 * kMiB), {}).plain.hopeless);
  CHECK(try_batch(workload, card(1 * kMiB, 10 * kMiB), {}).plain.hopeless);
}

TEST_CASE("workspaces count while they are used, or as long as the process lives") {
  profiler::Trace trace = small_step(25 * kMiB);
  const auto operate = [&](std::size_t place, const profiler::Operation& operation) {
    trace.records.insert(trace.records.begin() + static_cast<std::ptrdiff_t>(place),
                         {.address = trace.operations.size(),
                          .node = profiler::kNoNode,
                          .layer = 0,
                          .kind = profiler::RecordKind::operation});
    trace.operations.push_back(operation);
  };
  SUBCASE("kept, once a thread") {
    operate(4, {.kind = profiler::OperationKind::matrix_product});
    operate(5, {.kind = profiler::OperationKind::matrix_product});
    DeviceProfile device = card();
    device.cublas_workspace_bytes = 8 * kMiB;
    const Prediction prediction = predict::predict(workload_of(trace), device, {});
    CHECK(overhead(prediction, "cublas_workspace") == 8 * kMiB);
    CHECK(prediction.peak_requested_bytes == 41 * kMiB);
    CHECK(sum_of(prediction) == prediction.peak_device_bytes);
  }
  SUBCASE("of a convolution, its layer's for the moment") {
    profiler::Operation operation{.channels_last = true,
                                  .input = {1, 64, 1, 128, 128},
                                  .output = {1, 64, 1, 128, 128},
                                  .kernel = {64, 1, 1, 7, 7},
                                  .groups = 64};
    operate(4, operation);
    const Prediction prediction = predict::predict(workload_of(trace), card(), {});
    const std::int64_t workspace = 8 * 4 * kMiB + 16 * 64 * 49 * 4;
    CHECK(prediction.peak_requested_bytes == 3 * kMiB + workspace);
    REQUIRE(prediction.layers.size() == 1);
    CHECK(prediction.layers[0].categories[static_cast<std::size_t>(Category::workspace)] ==
          workspace);
    CHECK(sum_of(prediction) == prediction.peak_device_bytes);
    // A card without room for it computes another way.
    CHECK(try_batch(workload_of(trace), card(47 * kMiB, 0), {}).plain.fits);
  }
  SUBCASE("of a product with a bias, without which there is none") {
    operate(4, {.kind = profiler::OperationKind::matrix_product, .has_bias = true});
    DeviceProfile device = card(100 * kMiB, 0);
    device.cublas_lt_workspace_bytes = 60 * kMiB;
    CHECK(try_batch(workload_of(trace), device, {}).plain.fits);
    device.cublas_lt_workspace_bytes = 99 * kMiB;
    CHECK_FALSE(try_batch(workload_of(trace), device, {}).plain.fits);
  }
}

TEST_CASE("the interval is the scored set's") {
  const DeviceProfile device = card(1024 * kMiB, 100 * kMiB);
  const Prediction prediction = predict::predict(workload_of(small_step(25 * kMiB)), device, {});
  CHECK(prediction.accuracy.runs > 0);
  // Of the 46 MiB that are reserved; the context is none of the readings'.
  const auto share = [&](std::int64_t bytes) {
    return static_cast<double>(bytes - 100 * kMiB) / static_cast<double>(46 * kMiB);
  };
  CHECK(share(prediction.interval.low_bytes) ==
        doctest::Approx(prediction.accuracy.lowest_ratio).epsilon(1e-6));
  CHECK(share(prediction.interval.high_bytes) ==
        doctest::Approx(prediction.accuracy.highest_ratio).epsilon(1e-6));
}

TEST_CASE("a cautious batch is one whose interval ends on the card") {
  const Workload workload = workload_of(small_step(25 * kMiB));
  const double high = predict::predict(workload, card(), {}).accuracy.highest_ratio;
  // 46 MiB are reserved, of which 33 are tensors.
  const auto sure = static_cast<std::int64_t>(high * static_cast<double>(46 * kMiB)) + 1;
  CHECK(try_batch(workload, card(sure, 0), {}).cautious.fits);
  const BatchTrials less = try_batch(workload, card(sure - 2, 0), {});
  CHECK(less.plain.fits);
  CHECK_FALSE(less.cautious.fits);
  CHECK_FALSE(less.cautious.hopeless);
  const auto tensors = static_cast<std::int64_t>(high * static_cast<double>(33 * kMiB)) + 1;
  CHECK_FALSE(try_batch(workload, card(tensors, 0), {}).cautious.hopeless);
  CHECK(try_batch(workload, card(tensors - 2, 0), {}).cautious.hopeless);
}
