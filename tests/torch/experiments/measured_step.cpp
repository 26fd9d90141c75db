#include "tests/torch/experiments/measured_step.h"

#include <algorithm>

#include "experiments/runs/profile_run.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::tests {

const profiler::LayerMemory& layer(const profiler::MemoryProfile& memory, const std::string& name) {
  const auto found = std::ranges::find(memory.layers, name, &profiler::LayerMemory::name);
  REQUIRE_MESSAGE(found != memory.layers.end(), "no layer " << name);
  return *found;
}

reports::ProfileReport measure(const MeasuredOptions& options) {
  experiments::ProfileOptions profile;
  profile.model = concat("vit:image=32,patch=4,dim=", kWidth, ",depth=", kDepth, ",heads=", kHeads,
                         ",classes=10,channels=3,attention=", options.attention);
  profile.strategy = options.strategy;
  profile.device = options.device;
  profile.batch = options.batch;
  profile.precision = options.precision;
  profile.threads = 1;
  profile.warmup = 2;
  profile.time_steps = 0;
  return experiments::run_profile(profile);
}

}  // namespace sbp::tests
