// What a trace of a CUDA device saw beside the profile, for the report.
#pragma once

#include <string>
#include <vector>

#include "profiler/cuda/cuda_tracer.h"
#include "reports/device_memory.h"
#include "sbp/base/scope.h"

namespace sbp::experiments {

// `layers`: of the traced model.
reports::DeviceMemory device_memory(const profiler::CudaObservations& seen,
                                    const std::vector<LayerTable::Layer>& layers);

// What a reader of the report must know: lost records, counters that disagree, blocks that were
// asked for and are not there.
std::vector<std::string> device_warnings(const reports::DeviceMemory& memory);

}  // namespace sbp::experiments
