// Everything that can be named in a spec, for --help and its test.
#pragma once

#include <vector>

#include "sbp/base/spec.h"

namespace sbp::experiments {

const std::vector<SpecSchema>& model_schemas();
const std::vector<SpecSchema>& data_schemas();
const std::vector<SpecSchema>& strategy_schemas();
const std::vector<SpecSchema>& optimizer_schemas();
const std::vector<SpecSchema>& schedule_schemas();
const std::vector<SpecSchema>& augmentation_schemas();
const std::vector<SpecSchema>& precision_schemas();
const std::vector<SpecSchema>& gpu_schemas();  // that memory is predicted for

}  // namespace sbp::experiments
