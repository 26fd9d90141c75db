// Where specs become strategies: the table of all that are registered.
#pragma once

#include <span>

#include "sbp/plan.h"

namespace sbp::experiments {

std::span<const Strategy> strategies();

}  // namespace sbp::experiments
