#include "reports/json_writing.h"

#include <cmath>

#include "reports/json_words.h"

namespace sbp::reports {
namespace {

std::string_view why_not_finite(double value) {
  if (std::isnan(value)) return kNotANumber;
  return value > 0 ? kInfinite : kMinusInfinite;
}

// ---- layout: nlohmann's own indentation puts every number of a list on a line of its own

std::string scalar_text(const Json& value) {
  // Bytes that are not UTF-8 (a file name may hold any) become U+FFFD instead of an exception.
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool holds_scalars_only(const Json& value) {
  for (const auto& element : value) {
    if (element.is_structured()) return false;
  }
  return true;
}

void append(std::string& text, const Json& value, std::size_t depth, bool in_array) {
  if (!value.is_structured() || value.empty()) {
    text += scalar_text(value);
    return;
  }
  // Rows of a table and lists of numbers stay on one line; everything else is indented.
  const bool flat = holds_scalars_only(value) && (value.is_array() || in_array);
  const std::string indent(2 * depth + 2, ' ');
  text += value.is_array() ? '[' : '{';
  bool first = true;
  for (const auto& item : value.items()) {
    if (!first) text += flat ? ", " : ",";
    if (!flat) text.append("\n").append(indent);
    if (value.is_object()) text += scalar_text(Json(item.key())) + ": ";
    append(text, item.value(), depth + 1, value.is_array());
    first = false;
  }
  if (!flat) text.append("\n").append(std::string(2 * depth, ' '));
  text += value.is_array() ? ']' : '}';
}

Json environment_json(const Environment& environment) {
  constexpr std::string_view kReason = "could not be found out";
  Json object = Json::object();
  set_text(object, "sbp_version", environment.sbp_version, kReason);
  set_text(object, "git_commit", environment.git_commit, "not built from a git checkout");
  set_text(object, "libtorch_version", environment.libtorch_version, kReason);
  set_text(object, "compiler", environment.compiler, kReason);
  set_text(object, "processor", environment.processor, kReason);
  set_text(object, "operating_system", environment.operating_system, kReason);
  set_text(object, "host", environment.host, kReason);
  object["processor_count"] = environment.processor_count;
  object["threads"] = environment.threads;
  object["memory_bytes"] = environment.memory_bytes;
  set_text(object, "started_at", environment.started_at, kReason);
  return object;
}

Json configuration_json(const Header& header) {
  Json object = Json::object();
  for (const auto& [key, value] : header.configuration) {
    if (const double* real = std::get_if<double>(&value)) {
      set_real(object, key, *real);
    } else if (const std::int64_t* integer = std::get_if<std::int64_t>(&value)) {
      object[key] = *integer;
    } else if (const bool* flag = std::get_if<bool>(&value)) {
      object[key] = *flag;
    } else {
      object[key] = std::get<std::string>(value);
    }
  }
  return object;
}

Json plan_entry_json(const PlanEntry& entry) {
  constexpr std::string_view kReason = "no rows are dropped at this site";
  Json object = Json::object();
  object["site"] = entry.site;
  object["kind"] = entry.kind;
  object["claimed_by"] = entry.claimed_by;
  object["select"] = entry.select;
  set_real(object, "keep_ratio", entry.keep_ratio, kReason);
  set_real(object, "effective_keep_ratio", entry.effective_keep_ratio, kReason);
  object["rows"] = entry.rows;
  object["kept_rows"] = entry.kept_rows;
  object["mask_group"] = entry.mask_group;
  object["materialise"] = entry.materialise;
  object["code"] = entry.code;
  return object;
}

}  // namespace

void set_unknown(Json& object, const std::string& key, std::string_view reason) {
  object[key] = nullptr;
  object[key + std::string(kReasonSuffix)] = std::string(reason);
}

void set_real(Json& object, const std::string& key, double value) {
  if (std::isfinite(value)) {
    object[key] = value;
  } else {
    set_unknown(object, key, why_not_finite(value));
  }
}

void set_real(Json& object, const std::string& key, const std::optional<double>& value,
              std::string_view reason) {
  if (value) {
    set_real(object, key, *value);
  } else {
    set_unknown(object, key, reason);
  }
}

void set_text(Json& object, const std::string& key, const std::string& value,
              std::string_view reason) {
  if (value.empty()) {
    set_unknown(object, key, reason);
  } else {
    object[key] = value;
  }
}

std::string document(const Json& value) {
  std::string text;
  append(text, value, 0, false);
  text += '\n';
  return text;
}

Json header_json(const Header& header, std::string_view kind) {
  Json object = Json::object();
  object["schema"] = std::string(kSchemaName);
  object["schema_version"] = kSchemaVersion;
  object["kind"] = std::string(kind);
  object["command_line"] = header.command_line;
  object["configuration"] = configuration_json(header);
  object["environment"] = environment_json(header.environment);
  object["warnings"] = header.warnings;
  return object;
}

Json model_json(const ModelFacts& model) {
  Json object = Json::object();
  object["spec"] = model.spec;
  object["parameter_count"] = model.parameter_count;
  object["parameter_bytes"] = model.parameter_bytes;
  object["buffer_bytes"] = model.buffer_bytes;
  return object;
}

Json strategy_json(const StrategyOutcome& strategy) {
  Json object = Json::object();
  object["spec"] = strategy.spec;
  set_real(object, "effective_keep_ratio", strategy.effective_keep_ratio);
  object["forward_exact"] = strategy.forward_exact;
  return object;
}

Json plan_array(const std::vector<PlanEntry>& plan) {
  Json array = Json::array();
  for (const PlanEntry& entry : plan) array.push_back(plan_entry_json(entry));
  return array;
}

}  // namespace sbp::reports
