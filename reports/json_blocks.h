// The lives of a profile's blocks as compact rows of JSON. Private to reports/*.cpp.
#pragma once

#include "reports/json_reading.h"
#include "reports/json_writing.h"

namespace sbp::reports {

Json blocks_json(const profiler::BlockLives& blocks);
// Throws Error where a row has another form, or where blocks cannot have lived so.
profiler::BlockLives read_blocks(const Node& node);

}  // namespace sbp::reports
