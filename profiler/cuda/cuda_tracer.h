// Makes a CUDA device traceable: a Tracer of it (profiler/torch/tracer.h) then records every block
// of PyTorch's caching allocator, and beside it what the driver allocates, through CUPTI.
//
// In a build without CUDA devices (SBP_WITH_CUDA=OFF) the same functions say so.
#pragma once

#include <optional>
#include <string>

#include "profiler/cuda/cuda_books.h"
#include "sbp/base/device_id.h"

namespace sbp::profiler {

// Why this program cannot use the device, as a clause ("this build has no CUDA; use ..."); empty
// when it can.
std::string cuda_unavailable(const DeviceId& device);

// Whether CUPTI records what the driver gives, from the installation on. It costs time and memory
// until the first trace of the device ends, so only who takes that trace's observations asks for
// it.
enum class DriverWatch { none, until_first_trace };

// Counts the device's blocks from now on. Once a process, for one device, after
// install_torch_hooks() and before the device's first tensor; later calls do nothing (`driver` is
// the first one's), but a second device is an Error. Throws Error when the device cannot be used,
// or when a block that was made is not seen.
void install_cuda_hooks(const DeviceId& device, DriverWatch driver = DriverWatch::none);

// What the last trace of the device saw beside the profile, once.
struct CudaObservations {
  CudaBooks books;
  std::string cupti_reason;  // why CUPTI saw nothing; empty when it ran
};
std::optional<CudaObservations> take_cuda_observations(const CudaBooksOptions& options = {});

}  // namespace sbp::profiler
