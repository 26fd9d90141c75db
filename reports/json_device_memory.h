// The memory of a CUDA device as JSON. Private to reports/*.cpp.
#pragma once

#include "reports/json_reading.h"
#include "reports/json_writing.h"

namespace sbp::reports {

Json device_memory_json(const DeviceMemory& memory);
DeviceMemory read_device_memory(const Node& node);

}  // namespace sbp::reports
