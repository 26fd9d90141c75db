// What would one do with the memory saved? A larger batch. LibTorch-free.
#pragma once

#include <functional>

#include "experiments/sweep/plan.h"
#include "experiments/sweep/swept_command.h"

namespace sbp::sweep {

// Gives each point the largest batch whose step peaks no higher than that of its baseline: the same
// options with the strategy `full`, at the batch that they say. Peaks are those of dry runs and
// taken to grow with the batch. Points of the strategy `full` stay. `advance` is called after each
// point with how many are done. Throws UsageError where not even a batch of 1 fits.
void make_peaks_equal(const CommandOptions& command, Plan& plan, SweptCommand& swept,
                      const std::function<void(std::size_t done)>& advance);

}  // namespace sbp::sweep
