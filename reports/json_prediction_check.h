// Whether what a prediction says can be: the parts sum to the peaks. Private to reports/*.cpp.
#pragma once

#include "reports/json_reading.h"

namespace sbp::reports {

// `node` is what `prediction` was read from. Throws Error naming the field, its value and what it
// contradicts. Sizes must be known not to be negative.
void check_prediction(const Node& node, const predict::Prediction& prediction);

}  // namespace sbp::reports
