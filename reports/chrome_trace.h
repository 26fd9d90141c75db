// The memory of a profile over time, for Perfetto and chrome://tracing.
#pragma once

#include <string>

#include "reports/report.h"

namespace sbp::reports {

// Trace Event JSON, one event a line, times in microseconds: a slice for each phase, a counter of
// live bytes in all and one for each category, and for each block that autograd held a slice of its
// life under the name of its layer. Counters replay to the peak to the byte.
// REQUIRES blocks in the profile (memory_events.h).
std::string chrome_trace(const ProfileReport& report);

// The same of a prediction: its blocks with what rounding adds, so that they rise to
// peak_allocated_bytes. Nothing ran, so that an event takes a microsecond. REQUIRES blocks.
std::string chrome_trace(const PredictionReport& report);

}  // namespace sbp::reports
