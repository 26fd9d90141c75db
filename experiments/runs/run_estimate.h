// What a run would need, found out without running it.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/runs/run_options.h"

namespace sbp::experiments {

// Bytes of tensors that a training step of the run peaks at, by a dry run of two (the optimizer's
// state included). Throws UsageError for what was asked wrongly.
std::int64_t step_peak_bytes(const RunOptions& options, ZeroGrad zero_grad = ZeroGrad::start);

struct DataSize {
  std::int64_t train = 0;  // images
  std::int64_t test = 0;
  std::int64_t held_bytes = 0;  // of memory, as long as they are open
};

// Opens the data. Throws as open_data does.
DataSize data_size(const RunOptions& options);

// Bytes of the machine that a process takes which runs steps of this peak: what malloc and kernels
// need beside tensors, the program itself, and its data. On `meta` the program alone; on CUDA
// without tensors, and without what CUDA itself takes of the machine, which is not known.
std::int64_t process_bytes(const RunOptions& options, std::int64_t step_peak_bytes,
                           const DataSize& data);

// The same of a training run, with what looks at the exact gradient hold.
std::int64_t training_peak_bytes(const TrainOptions& options);

struct TrainingSize {
  std::int64_t steps = 0;               // updates
  std::int64_t passes = 0;              // beside them, of looks at the exact gradient
  std::int64_t evaluation_batches = 0;  // over all evaluations
};

// What run_train checks before its first step, and how long it would be. Throws UsageError.
TrainingSize training_size(const TrainOptions& options, const DataSize& data);

// What run_profile checks before it.
void check_profile(const ProfileOptions& options, const DataSize& data);

// What run_correlate checks before its first step, and how many passes and training steps it would
// take. Throws UsageError.
std::int64_t correlate_passes(const CorrelateOptions& options, const DataSize& data);
// Bytes of tensors that it peaks at: those of an exact step, of which there are none while
// gradients are compared, and gradients, updates and what crosses the blocks' edges beside it.
std::int64_t correlate_peak_bytes(const CorrelateOptions& options);

// "2.14.1".
std::string libtorch_version();

}  // namespace sbp::experiments
