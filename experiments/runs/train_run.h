// A training run.
#pragma once

#include "experiments/runs/run_options.h"
#include "reports/report.h"
#include "sbp/base/error.h"

namespace sbp::experiments {

struct ResolvedRun;

// Trains, evaluates, traces one step; the report says `interrupted` when progress.interrupted
// asked for an early end. Throws UsageError for what was asked wrongly, Error for what failed.
reports::TrainReport run_train(const TrainOptions& options, const Progress& progress = {});

// What run_train checks before it opens anything. Throws UsageError.
void check_training(const TrainOptions& options, const ResolvedRun& run);

// Bytes of tensors that the run peaks at, by a dry run: of a step, and of what looks at the exact
// gradient hold.
std::int64_t training_peak_bytes(const TrainOptions& options, const ResolvedRun& run);

// Of a run whose data do not fill one step.
UsageError batch_too_large(const ResolvedRun& run, std::int64_t images);

}  // namespace sbp::experiments
