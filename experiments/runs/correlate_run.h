// How far gradients under strategies are from the exact one.
#pragma once

#include "experiments/runs/run_options.h"
#include "reports/report.h"
#include "sbp/base/error.h"

namespace sbp::experiments {

struct ResolvedRun;

// Brings the model to a state of its training, takes the exact gradient of fixed batches there, and
// then that of every strategy over several masks. Ctrl-C leaves out the strategies that were not
// done. Throws UsageError for what was asked wrongly, Error for what failed.
reports::CorrelateReport run_correlate(const CorrelateOptions& options,
                                       const Progress& progress = {});

// What run_correlate checks before it opens anything. Throws UsageError.
void check_correlate(const CorrelateOptions& options, const ResolvedRun& run);
// Of a run whose data do not fill `batches`.
UsageError too_few_batches(const ResolvedRun& run, std::int64_t batches, std::int64_t images);
// Training steps before gradients are compared.
std::int64_t steps_before(const CorrelateOptions& options);
// Bytes of tensors that the run peaks at, by a dry run of an exact step.
std::int64_t correlate_peak_bytes(const CorrelateOptions& options, const ResolvedRun& run);

}  // namespace sbp::experiments
