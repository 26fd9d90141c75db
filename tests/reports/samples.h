// Small invented reports with every field filled in.
#pragma once

#include "reports/report.h"

namespace sbp::tests {

reports::ProfileReport sample_profile();
reports::TrainReport sample_training();
reports::SweepReport sample_sweep();

}  // namespace sbp::tests
