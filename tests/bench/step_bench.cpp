// A training step at batch 8: its parts, what tracing costs it, and full backward against a
// strategy (sbp at one half of a ViT-Tiny 224 by default). Everything that is compared runs
// interleaved, in random order.
//
// step_bench [pairs [strategy [model]]]
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/data/loader.h"
#include "experiments/models/model.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "profiler/torch/tracer.h"
#include "sbp/random.h"

namespace sbp::experiments {
namespace {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

// A run that can be stepped again and again on one batch.
class Subject {
 public:
  Subject(const std::string& model, const std::string& strategy)
      : run_(resolve(model, strategy)),
        model_(make_model(run_)),
        plan_(make_plan(run_, *model_)),
        masks_(0),
        optimizer_(make_optimizer(run_.optimizer, model_->parameters())),
        trainer_(*model_, plan_, masks_, *optimizer_, {}) {
    const DataSource data = open_data(run_.data, run_.geometry, 0);
    Loader loader(*data.train, data, {.batch = run_.options.batch, .prefetch = 0});
    loader.start_epoch(0);
    batch_ = *loader.next();
    for (int i = 0; i < 2; ++i) step();
  }

  StepDurations step() { return trainer_.step(batch_, step_++, 1e-4).seconds; }
  TracedStep traced() {
    return traced_step(
        trainer_, *model_, *optimizer_, run_.device,
        [this](std::int64_t) -> const Batch& { return batch_; }, step_++, 1e-4);
  }

 private:
  static ResolvedRun resolve(const std::string& model, const std::string& strategy) {
    RunOptions options;
    options.model = model;
    options.strategy = strategy;
    const ResolvedRun run = resolve_run(options);
    prepare_libtorch(run);
    return run;
  }

  ResolvedRun run_;
  std::unique_ptr<Model> model_;
  Plan plan_;
  KeyedMaskSource masks_;
  std::unique_ptr<Optimizer> optimizer_;
  Trainer trainer_;
  Batch batch_;
  std::int64_t step_ = 0;
};

// Runs a and b in pairs, the order within a pair drawn; prints the median ratio a/b with its 95 %
// interval (order statistics of the sign test) and a's and b's medians.
void compare(const char* name, int pairs, const std::function<double()>& a,
             const std::function<double()>& b) {
  RandomStream order({.seed = 1, .purpose = Purpose::sampling});
  std::vector<double> ratios, of_a, of_b;
  for (int i = 0; i < pairs; ++i) {
    const bool a_first = order.below(2) == 0;
    double first = a_first ? a() : b();
    double second = a_first ? b() : a();
    if (!a_first) std::swap(first, second);
    of_a.push_back(first);
    of_b.push_back(second);
    ratios.push_back(first / second);
  }
  std::ranges::sort(ratios);
  const auto low = static_cast<std::size_t>(
      std::max(0.0, std::floor(0.5 * pairs - 0.98 * std::sqrt(static_cast<double>(pairs)))));
  std::printf("%-34s ratio %.3f [%.3f, %.3f]  medians %.1f and %.1f ms, %d pairs\n", name,
              median(ratios), ratios[low], ratios[ratios.size() - 1 - low], 1e3 * median(of_a),
              1e3 * median(of_b), pairs);
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
void print_parts(Subject& full, Subject& dropping, const std::string& strategy, int steps) {
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
  print(strategy.c_str(), of_dropping);
}

int run(int pairs, const std::string& strategy, const std::string& model) {
  Subject full(model, "full"), dropping(model, strategy);
  print_parts(full, dropping, strategy, pairs);
  const auto plain = [&] { return full.step().step; };
  compare((strategy + " / full").c_str(), pairs, [&] { return dropping.step().step; }, plain);
  compare(
      "traced / untraced", pairs, [&] { return full.traced().result.seconds.step; }, plain);
  compare("control: untraced / untraced", pairs, plain, plain);

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
  return sbp::experiments::run(argc > 1 ? std::max(4, std::atoi(argv[1])) : 20,
                               argc > 2 ? argv[2] : "sbp:keep=0.5",
                               argc > 3 ? argv[3] : "vit_tiny_patch16_224");
}
