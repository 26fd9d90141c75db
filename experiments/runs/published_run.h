// Published memory figures beside what we predict for the same runs.
#pragma once

#include <string>

#include "experiments/runs/run_options.h"
#include "reports/data_table.h"

namespace sbp::experiments {

// The rows of `path`, a file of experiments/recipes/published or a folder of such: ours, the
// published figure, both ratios to the baseline, and why they differ. `predict`: the GPU; empty:
// the files' own. Throws UsageError for what was asked wrongly, Error for what failed.
reports::Document predict_published(const std::string& path, const std::string& predict,
                                    const Progress& progress = {});

}  // namespace sbp::experiments
