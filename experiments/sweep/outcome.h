// What the end of a process says of its point. LibTorch-free.
#pragma once

#include <string>

#include "experiments/sweep/engine.h"
#include "reports/report.h"

namespace sbp::sweep {

struct Outcome {
  reports::PointStatus status = reports::PointStatus::finished;
  std::string reason;         // a sentence; empty where it finished
  bool disk_is_full = false;  // or cannot be written for another reason: no fault of the point
};

// Exit code 0 is finished. The program's own last sentence is the reason, without its name.
// `report`: the file that the process was to write.
Outcome outcome_of(const Ended& end, const std::string& report);

}  // namespace sbp::sweep
