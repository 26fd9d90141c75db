// How far gradients under strategies are from the exact one.
#pragma once

#include "experiments/runs/run_options.h"
#include "reports/report.h"

namespace sbp::experiments {

// Brings the model to a state of its training, takes the exact gradient of fixed batches there, and
// then that of every strategy over several masks. Ctrl-C leaves out the strategies that were not
// done. Throws UsageError for what was asked wrongly, Error for what failed.
reports::CorrelateReport run_correlate(const CorrelateOptions& options,
                                       const Progress& progress = {});

}  // namespace sbp::experiments
