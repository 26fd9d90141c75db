// The codecs that a plan names.
#pragma once

#include "sbp/plan.h"
#include "sbp/saved.h"

namespace sbp::experiments {

// Every codec that any row of `plan` names and that is known.
CodecTable codecs_of(const Plan& plan);

}  // namespace sbp::experiments
