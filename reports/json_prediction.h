// The JSON of predictions. Private to reports/*.cpp.
#pragma once

#include "reports/json_reading.h"

namespace sbp::reports {

PredictionReport read_prediction(const Node& document);

}  // namespace sbp::reports
