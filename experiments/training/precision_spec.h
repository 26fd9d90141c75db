// Precisions by spec.
#pragma once

#include "sbp/base/spec.h"
#include "sbp/precision.h"

namespace sbp::experiments {

// `spec` is one of precision_schemas() (experiments/runs/catalogue.h).
Precision precision_of(const Spec& spec);

}  // namespace sbp::experiments
