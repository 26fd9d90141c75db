// The JSON of what tells how faithful gradients are. Private to reports/*.cpp.
#pragma once

#include <vector>

#include "reports/json_reading.h"
#include "reports/json_writing.h"

namespace sbp::reports {

CorrelateReport read_correlate(const Node& document);

// Of a training run.
Json fidelity_points_json(const std::vector<FidelityPoint>& points);
FidelityPoint read_fidelity_point(const Node& node);

}  // namespace sbp::reports
