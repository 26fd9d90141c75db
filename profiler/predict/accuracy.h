// How well the predictions of this version did on the scored set (docs/prediction.md).
#pragma once

#include "profiler/predict/prediction.h"

namespace sbp::predict {

// A test holds these figures against the set itself.
Accuracy measured_accuracy();

}  // namespace sbp::predict
