// What a sweep takes from the reports of its points. LibTorch-free.
#pragma once

#include <string>

#include "reports/json.h"
#include "reports/report.h"

namespace sbp::sweep {

// A finished point without its report, which may be large.
struct PointFacts {
  reports::PointFigures figures;
  std::string version;  // what made it: "0.1.0 (0123456789ab), LibTorch 2.14.1"
  std::string machine;  // its processor
  std::int64_t threads = 0;
};

// Throws Error saying what is wrong where `report` is not of `command` ("train") or was interrupted
// or not made by `words`, the command line after the program's name; more words may follow them.
PointFacts facts_of(const reports::AnyReport& report, const std::string& command,
                    const std::vector<std::string>& words);

// "0.1.0 (0123456789ab), LibTorch 2.14.1".
std::string version_text(const reports::Environment& environment);

}  // namespace sbp::sweep
