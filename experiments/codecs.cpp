#include "experiments/codecs.h"

#include "dropit/kept_codec.h"

namespace sbp::experiments {

CodecTable codecs_of(const Plan& plan) {
  CodecTable table;
  for (const PlanRow& row : plan.rows) {
    for (const auto& [role, spec] : row.codes) {
      const auto [place, is_new] = table.try_emplace(to_string(spec));
      if (!is_new) continue;
      place->second = dropit::make_codec(spec);
      if (place->second == nullptr) table.erase(place);
    }
  }
  return table;
}

}  // namespace sbp::experiments
