// One training step with every byte in the books.
#pragma once

#include <functional>

#include "experiments/runs/run_setup.h"
#include "experiments/training/trainer.h"
#include "profiler/ledger.h"
#include "profiler/memory_profile.h"
#include "profiler/trace.h"
#include "reports/report.h"
#include "sbp/base/device_id.h"

namespace sbp::experiments {

class DryTrainer;

struct TracedStep {
  StepResult result;
  profiler::MemoryProfile memory;
};

// Runs `trainer.step(next, step, learning_rate)` under a tracer that knows the model's parameters,
// their gradients and averages, and the optimizer's state. Does not change what the step computes.
TracedStep traced_step(Trainer& trainer, const Model& model, const Optimizer& optimizer,
                       const DeviceId& device, const NextBatch& next, std::int64_t step,
                       double learning_rate, const profiler::LedgerOptions& ledger = {});

// The records of the first `count` steps, each begun by Phase::setup, with everything tagged; what
// lived before them comes first. `before_batch` is called before each batch and may throw. Ends
// early where records were lost.
profiler::Trace traced_dry_steps(DryTrainer& dry, std::int64_t count,
                                 const std::function<void()>& before_batch);

// The memory of one training step of the run, by a dry run, once the optimizer's state exists.
profiler::MemoryProfile dry_step(const ResolvedRun& run);

reports::MemorySummary summarise(const profiler::MemoryProfile& memory);

}  // namespace sbp::experiments
