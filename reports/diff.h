// The difference of two profiles, aligned by layer, category and phase.
#pragma once

#include <string>

#include "reports/report.h"
#include "reports/text.h"

namespace sbp::reports {

// Text: totals, categories at the peak, then layers by the size of the change. Layers on one side
// only are said to be so. Throws Error when nothing can be compared (different models), naming
// both; differences of batch, data or precision are said at the top and compared all the same.
std::string diff_text(const ProfileReport& before, const ProfileReport& after,
                      const TextOptions& options = {});

}  // namespace sbp::reports
