// The command whose runs are the points, as the sweep sees it. LibTorch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sbp::sweep {

// What a point will need, found out without running it.
struct PointNeeds {
  std::int64_t batch = 0;
  std::int64_t steps = 0;            // of training; of a profile all that it runs
  std::int64_t step_peak_bytes = 0;  // of tensors in one training step; of predictions: on the card
  std::int64_t memory_bytes = 0;     // of the machine, by the process
};

struct StepPeak {
  std::int64_t bytes = 0;  // as PointNeeds::step_peak_bytes
  // What of it never shrinks with a larger batch: tensors, without what an allocator makes of them.
  std::int64_t least_bytes = 0;
};

// `words`: of the command line, after the program's name. Everything throws UsageError for what the
// command would refuse.
class SweptCommand {
 public:
  virtual ~SweptCommand() = default;

  virtual PointNeeds needs(const std::vector<std::string>& words) = 0;
  virtual std::int64_t batch(const std::vector<std::string>& words) = 0;
  // By a dry run.
  virtual StepPeak step_peak(const std::vector<std::string>& words) = 0;
  // About, of the whole process on so many threads: from a trial of a few steps, made once for
  // points whose steps are alike. Nothing where it cannot be tried.
  virtual std::optional<double> seconds(const std::vector<std::string>& words,
                                        std::int64_t threads) = 0;
};

}  // namespace sbp::sweep
