// What a training run adds up between its reports, and keeps across an interruption; LibTorch-free.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "experiments/training/loss_scale.h"
#include "reports/report.h"

namespace sbp::experiments {

using NamedNumbers = std::map<std::string, double>;

// The epoch in hand.
struct EpochTally {
  std::int64_t samples = 0;
  double loss_sum = 0.0;  // over samples
  double learning_rate = 0.0;
  double seconds = 0.0;  // before an interruption; the clock counts what came after
  double data_wait_seconds = 0.0;
  std::int64_t traced_samples = 0;  // of steps that were traced, which takes longer
  double apart_seconds = 0.0;       // of traced steps, and of looks at the exact gradient

  // Of the steps that were not traced, where there are any.
  double samples_per_second() const;
  bool operator==(const EpochTally&) const = default;
};

// Rows that each mask group of the plan kept.
struct KeptRowTally {
  std::vector<double> sums;            // over all steps
  std::vector<std::int64_t> reported;  // of the traced step, or else of the last one

  bool operator==(const KeptRowTally&) const = default;

  // Of one step: the mean over its batches.
  void add(const std::vector<double>& kept);
  // A step; those of the reported step where there was none.
  std::vector<double> means(std::int64_t steps) const;
};

// Steps that fp16 did not skip.
struct UpdateTally {
  bool any = false;
  bool traced = false;  // one that came after another, so that the optimizer's state existed

  bool operator==(const UpdateTally&) const = default;
};

// Into the scalars of a checkpoint and back; what is missing there stays as it is.
void store(const EpochTally& tally, NamedNumbers& scalars);
void store(const KeptRowTally& tally, NamedNumbers& scalars);
void store(const UpdateTally& tally, NamedNumbers& scalars);
void store(const LossScale& state, NamedNumbers& scalars);
void restore(EpochTally& tally, const NamedNumbers& scalars);
void restore(KeptRowTally& tally, const NamedNumbers& scalars);
void restore(UpdateTally& tally, const NamedNumbers& scalars);
void restore(LossScale& state, const NamedNumbers& scalars);

// The line that a run prints when an epoch ends. `peak_bytes`: of the traced step, 0 without one.
std::string epoch_line(const reports::EpochResult& result, std::int64_t peak_bytes);

}  // namespace sbp::experiments
