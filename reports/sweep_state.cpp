#include "reports/sweep_state.h"

#include "reports/json_reading.h"
#include "reports/json_writing.h"
#include "reports/sweep_points.h"

namespace sbp::reports {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

Json settings_json(const Settings& settings) {
  Json object = Json::object();
  for (const auto& [name, value] : settings) object[name] = value;
  return object;
}

Settings read_settings(const Node& node) {
  Settings settings;
  node.each_member([&](const std::string& name, const Node& value) {
    settings.emplace_back(name, value.text());
  });
  return settings;
}

void set_integer(Json& object, const char* key, const std::optional<std::int64_t>& value) {
  object[key] = value ? Json(*value) : Json(nullptr);
}

std::optional<std::int64_t> read_integer(const Node& node, const char* key) {
  return optional_part(node, key, [](const Node& value) { return value.integer(); });
}

}  // namespace

std::string to_json(const PointFailure& failure) {
  Json object = Json::object();
  object["id"] = failure.id;
  object["axes"] = settings_json(failure.axes);
  object["command_line"] = failure.command_line;
  object["status"] = to_string(failure.status);
  object["reason"] = failure.reason;
  set_integer(object, "exit_code", failure.exit_code);
  set_integer(object, "signal", failure.signal);
  object["seconds"] = failure.seconds ? Json(*failure.seconds) : Json(nullptr);
  object["last_words"] = failure.last_words;
  object["version"] = failure.version;
  return document(object);
}

std::string to_json(const SweepPlanRecord& record) {
  Json object = Json::object();
  object["version"] = record.version;
  object["command"] = record.command;
  object["base"] = settings_json(record.base);
  Json axes = Json::array();
  for (const SweepAxis& axis : record.axes) {
    axes.push_back(Json::object({{"name", axis.name}, {"values", axis.values}}));
  }
  object["axes"] = std::move(axes);
  object["exclude"] = record.exclude;
  object["equal_peak"] = record.equal_peak;
  object["points"] = record.points;
  return document(object);
}

PointFailure parse_failure(std::string_view json, std::string_view source) {
  const Json value = parse_json(json, source);
  const Node node(value, source);
  PointFailure failure;
  failure.id = node["id"].text();
  failure.axes = read_settings(node["axes"]);
  failure.command_line = list(node["command_line"], read_text);
  failure.status = word_of<PointStatus>(node["status"], static_cast<int>(kPointStatusWords.size()));
  failure.reason = node["reason"].text();
  failure.exit_code = read_integer(node, "exit_code");
  failure.signal = read_integer(node, "signal");
  failure.seconds =
      optional_part(node, "seconds", [](const Node& number) { return number.real(); });
  failure.last_words = node["last_words"].text();
  failure.version = node["version"].text();
  return failure;
}

SweepPlanRecord parse_plan_record(std::string_view json, std::string_view source) {
  const Json value = parse_json(json, source);
  const Node node(value, source);
  SweepPlanRecord record;
  record.version = node["version"].text();
  record.command = node["command"].text();
  record.base = read_settings(node["base"]);
  record.axes = list(node["axes"], [](const Node& axis) {
    return SweepAxis{.name = axis["name"].text(), .values = list(axis["values"], read_text)};
  });
  record.exclude = list(node["exclude"], read_text);
  record.equal_peak = node["equal_peak"].boolean();
  record.points = list(node["points"], read_text);
  return record;
}

}  // namespace sbp::reports
