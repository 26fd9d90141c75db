// A run that can be stepped again and again on one batch, and fair comparisons of two.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/data/loader.h"
#include "experiments/models/model.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "experiments/training/trainer.h"

namespace sbp::experiments {

class Subject {
 public:
  // A few untraced steps are taken at once.
  explicit Subject(const RunOptions& options);

  StepDurations step();
  TracedStep traced();

 private:
  ResolvedRun run_;
  std::unique_ptr<Model> model_;
  Plan plan_;
  KeyedMaskSource masks_;
  std::unique_ptr<Optimizer> optimizer_;
  Trainer trainer_;
  Batch batch_;
  std::int64_t step_ = 0;
};

double median(std::vector<double> values);

// Ratios a/b of pairs of runs, the order within a pair drawn.
struct Comparison {
  double ratio = 0.0;            // median
  double low = 0.0, high = 0.0;  // its 95 % interval (order statistics of the sign test)
  double least_ratio = 0.0;      // of the least a and the least b: what noise disturbs least
  double median_a = 0.0, median_b = 0.0;
};
Comparison compare(int pairs, const std::function<double()>& a, const std::function<double()>& b);

}  // namespace sbp::experiments
