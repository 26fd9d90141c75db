// A plan as text, before anything runs. LibTorch-free.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/sweep/sweep_run.h"

namespace sbp::sweep {

// A line a point: its axes, what it needs, and what the folder holds of it. `seconds`: about, one a
// point; empty: not tried.
std::string plan_text(const Sweep& sweep, const FolderContent& content,
                      const std::vector<std::optional<double>>& seconds);

}  // namespace sbp::sweep
