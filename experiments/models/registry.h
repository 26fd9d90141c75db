// Models by name.
#pragma once

#include <memory>

#include "experiments/models/model.h"

namespace sbp::experiments {

// What `spec` says of its input; 0 where it leaves a field to the data.
ImageGeometry input_of(const Spec& spec);

// `spec` with the fields that it left to the data filled in. Throws UsageError where model and
// data disagree, naming both sizes.
Spec fit_to_data(const Spec& spec, const ImageGeometry& data);

// `spec` must be fitted. Throws UsageError where its sizes do not go together.
std::unique_ptr<Model> build_model(const Spec& spec, const BuildOptions& options);

}  // namespace sbp::experiments
