#include "cli/listing.h"

#include "cli/schema_text.h"
#include "experiments/runs/catalogue.h"

namespace sbp::cli {

std::string listing(const std::string& topic) {
  if (topic == "models") return schemas_text(experiments::model_schemas());
  if (topic == "data") return schemas_text(experiments::data_schemas());
  if (topic == "strategies") return schemas_text(experiments::strategy_schemas());
  if (topic == "augmentations") return schemas_text(experiments::augmentation_schemas());
  if (topic == "precisions") return schemas_text(experiments::precision_schemas());
  if (topic == "schedules") return schemas_text(experiments::schedule_schemas());
  if (topic == "gpus") return schemas_of_same_keys_text(experiments::gpu_schemas());
  return schemas_text(experiments::optimizer_schemas());
}

}  // namespace sbp::cli
