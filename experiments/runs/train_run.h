// A training run.
#pragma once

#include "experiments/runs/run_options.h"
#include "reports/report.h"

namespace sbp::experiments {

// Trains, evaluates, traces one step; the report says `interrupted` when progress.interrupted
// asked for an early end. Throws UsageError for what was asked wrongly, Error for what failed.
reports::TrainReport run_train(const TrainOptions& options, const Progress& progress = {});

}  // namespace sbp::experiments
