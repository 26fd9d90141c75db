// Facts about the machine; LibTorch-free.
#pragma once

#include <cstdint>
#include <optional>

#include "reports/report.h"

namespace sbp::experiments {

// Everything but `libtorch_version` and `threads`, which the caller knows.
reports::Environment describe_environment();

// Bytes that can be had without swapping, within a container's limit (cgroup v2); nothing where
// the system does not tell.
std::optional<std::int64_t> available_memory_bytes();

// Resident set of this process, and its high-water mark since the last reset.
std::optional<std::int64_t> resident_bytes();
std::optional<std::int64_t> peak_resident_bytes();
// False where the system does not allow it.
bool reset_peak_resident();

}  // namespace sbp::experiments
