// The twin of cuda_tracer.cpp for builds without CUDA devices.
#include "profiler/cuda/cuda_tracer.h"
#include "sbp/base/error.h"

namespace sbp::profiler {

std::string cuda_unavailable(const DeviceId&) {
  return "this build has no CUDA; use cpu, or meta for a dry run";
}

void install_cuda_hooks(const DeviceId& device, DriverWatch) {
  throw Error(concat("device '", to_string(device), "': ", cuda_unavailable(device)));
}

std::optional<CudaObservations> take_cuda_observations(const CudaBooksOptions& /*options*/) {
  return std::nullopt;
}

}  // namespace sbp::profiler
