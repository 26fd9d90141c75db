// Whether a run may go on from a checkpoint; LibTorch-free.
#pragma once

#include <string>
#include <vector>

#include "reports/checkpoint.h"
#include "reports/report.h"

namespace sbp::experiments {

// Compares the configuration of the checkpoint's run with that of `now`. Throws UsageError that
// names the first key that differs, and both values; `steps` may grow, and `threads` may differ.
// Gives warnings: what may keep the run from being, bit for bit, the one without interruption.
std::vector<std::string> check_resumption(const reports::Checkpoint& checkpoint,
                                          const reports::Header& now);

}  // namespace sbp::experiments
