// What the JSON writers of all kinds of report share. Private to reports/*.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/report.h"

namespace sbp::reports {

struct SweepSummary;

using Json = nlohmann::ordered_json;

// null, and NAME_reason beside it.
void set_unknown(Json& object, const std::string& key, std::string_view reason);
// A number that is not finite becomes null, with a reason that stands for it.
void set_real(Json& object, const std::string& key, double value);
// `reason`: why there is no number.
void set_real(Json& object, const std::string& key, const std::optional<double>& value,
              std::string_view reason);
void set_text(Json& object, const std::string& key, const std::string& value,
              std::string_view reason);

// Indented, with rows of a table and lists of numbers on one line each.
std::string document(const Json& value);

// The keys that every report begins with.
Json header_json(const Header& header, std::string_view kind);
Json model_json(const ModelFacts& model);
Json strategy_json(const StrategyOutcome& strategy);
Json categories_json(const profiler::CategoryBytes& bytes, bool with_zeros);
Json saved_json(const profiler::SavedBytes& saved);
// The same as keys of a layer: "saved_logical_bytes", ...
void set_saved(Json& layer, const profiler::SavedBytes& saved);
Json plan_array(const std::vector<PlanEntry>& plan);

Json summary_json(const SweepSummary& summary);

}  // namespace sbp::reports
