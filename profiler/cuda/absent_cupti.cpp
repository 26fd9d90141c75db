// The twin of real_cupti.cpp for builds without CUPTI's headers.
#include "profiler/cuda/cupti_api.h"

namespace sbp::profiler {

LoadedCupti load_cupti(const char*) {
  return {.api = nullptr, .reason = "this build has none: cupti.h of CUDA 13.0 was not found"};
}

}  // namespace sbp::profiler
