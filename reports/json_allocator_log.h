// The blocks and segments of a prediction or a GPU as compact rows of JSON. Private to
// reports/*.cpp.
#pragma once

#include "reports/json_reading.h"
#include "reports/json_writing.h"

namespace sbp::reports {

Json allocator_log_json(const profiler::AllocatorLog& log);
// Throws Error where a row has another form, or where no allocator can have done so.
profiler::AllocatorLog read_allocator_log(const Node& node);

}  // namespace sbp::reports
