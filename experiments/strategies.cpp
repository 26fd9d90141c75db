#include "experiments/strategies.h"

#include "dropit/dropit_strategy.h"
#include "experiments/runs/catalogue.h"
#include "sbp/recompute_strategy.h"
#include "sbp/sbp_strategy.h"

namespace sbp::experiments {

std::span<const Strategy> strategies() {
  static const std::vector<Strategy> all = {full_strategy(), sbp_strategy(),
                                            dropit::dropit_strategy(), recompute_strategy()};
  return all;
}

const std::vector<SpecSchema>& strategy_schemas() {
  static const std::vector<SpecSchema> schemas = [] {
    std::vector<SpecSchema> list;
    for (const Strategy& strategy : strategies()) list.push_back(strategy.schema);
    return list;
  }();
  return schemas;
}

}  // namespace sbp::experiments
