// What a run would take of a GPU's memory, by a dry run and a replay.
#pragma once

#include "experiments/runs/run_options.h"
#include "profiler/predict/device_profile.h"
#include "profiler/predict/workload.h"
#include "reports/report.h"

namespace sbp::experiments {

// Predicts for the GPU of `options.predict`: the first steps are made on Meta, which computes
// nothing, and what they ask of an allocator is replayed through PyTorch's caching allocator as it
// would be there. Throws UsageError for what was asked wrongly, Error for what failed.
reports::PredictionReport run_prediction(const ProfileOptions& options,
                                         const Progress& progress = {});

// What that checks before its first step. Throws UsageError.
void check_prediction(const ProfileOptions& options);
// The GPU of --predict: a spec, or a file (recipes/device_file.h). Throws UsageError.
predict::DeviceProfile device_of(const std::string& predict);

// What those steps ask of an allocator. Throws as run_prediction does.
predict::Workload workload_of_run(const ProfileOptions& options);

}  // namespace sbp::experiments
