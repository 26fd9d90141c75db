// Learning rate over a training run; LibTorch-free.
#pragma once

#include <cstdint>
#include <vector>

#include "experiments/runs/run_options.h"
#include "sbp/base/spec.h"

namespace sbp::experiments {

// All lengths are in updates.
struct Schedule {
  enum class Kind { constant, cosine, step };
  Kind kind = Kind::cosine;
  double peak = 1e-3;
  double minimum = 0.0;           // cosine: reached after the last update; step: never below
  std::int64_t warmup_steps = 0;  // linear, the peak being reached at its end
  double warmup_start = 0.0;      // where warm-up comes from
  std::int64_t total_steps = 1;
  bool cosine_from_start = false;  // the cosine runs below the warm-up too
  std::int64_t every_steps = 0;    // step: times `factor` after each so many; 0: see drops_at
  std::vector<std::int64_t> drops_at = {};  // step: times `factor` from each of these on
  double factor = 0.1;

  // Of update `step`, from 0.
  double at(std::int64_t step) const;
};

struct TrainingLength {
  std::int64_t steps_per_epoch = 1;  // updates
  std::int64_t total_steps = 1;
};

// The spec of `options.schedule` with the minimum that the other option may give it. Throws
// UsageError for what contradicts itself.
Spec schedule_spec(const TrainOptions& options);

// Throws UsageError when warm-up or the schedule's own marks reach beyond the training.
Schedule make_schedule(const TrainOptions& options, double peak, const TrainingLength& length);

}  // namespace sbp::experiments
