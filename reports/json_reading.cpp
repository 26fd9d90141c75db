#include "reports/json_reading.h"

#include <algorithm>

#include "reports/json_words.h"

namespace sbp::reports {
namespace {

// The number that a null with this reason stands for, if it is one.
std::optional<double> number_of_reason(const Node& object, const std::string& key) {
  const std::string reason_key = key + std::string(kReasonSuffix);
  if (!object.has(reason_key)) object[key].fail("is null without " + reason_key);
  const std::string reason = object[reason_key].text();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (reason == kNotANumber) return std::numeric_limits<double>::quiet_NaN();
  if (reason == kInfinite) return kInfinity;
  if (reason == kMinusInfinite) return -kInfinity;
  return std::nullopt;
}

Environment read_environment(const Node& node) {
  Environment environment;
  environment.sbp_version = text_or_empty(node, "sbp_version");
  environment.git_commit = text_or_empty(node, "git_commit");
  environment.libtorch_version = text_or_empty(node, "libtorch_version");
  environment.compiler = text_or_empty(node, "compiler");
  environment.processor = text_or_empty(node, "processor");
  environment.operating_system = text_or_empty(node, "operating_system");
  environment.host = text_or_empty(node, "host");
  environment.processor_count = node["processor_count"].integer();
  environment.threads = node["threads"].integer();
  environment.memory_bytes = node["memory_bytes"].integer();
  environment.started_at = text_or_empty(node, "started_at");
  return environment;
}

// Whether `key` only says why another member is null.
bool is_reason(const Node& object, const std::string& key) {
  if (!key.ends_with(kReasonSuffix)) return false;
  const std::string subject = key.substr(0, key.size() - kReasonSuffix.size());
  return object.has(subject) && object[subject].is_null();
}

// "line 3, column 7" of the byte at `offset`.
std::string position_text(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n');
  const std::size_t column =
      before.size() - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1;
  return concat("line ", lines + 1, ", column ", column);
}

bool only_spaces_from(std::string_view text, std::size_t offset) {
  return offset >= text.size() ||
         text.find_first_not_of(" \t\r\n", offset) == std::string_view::npos;
}

bool starts_non_finite_word(std::string_view rest) {
  if (rest.starts_with('-')) rest.remove_prefix(1);
  return rest.starts_with("NaN") || rest.starts_with("nan") || rest.starts_with("Inf") ||
         rest.starts_with("inf");
}

// The parser stops inside a word or just after it; its first letter is a few bytes before.
std::size_t start_of_word(std::string_view text, std::size_t offset) {
  std::size_t start = std::min(offset, text.size());
  while (start > 0 &&
         std::string_view(" \t\r\n,:[{").find(text[start - 1]) == std::string_view::npos) {
    --start;
  }
  return start;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view source, std::string_view what) {
  const std::string beginning = concat("cannot read ", what, " '", source, "'", ": ");
  if (only_spaces_from(text, 0)) throw Error(beginning + "it is empty");
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& error) {
    // `byte` counts from 1.
    const std::size_t offset = error.byte == 0 ? 0 : error.byte - 1;
    if (only_spaces_from(text, offset)) {
      throw Error(concat(beginning, "it is truncated, it ends in the middle at ",
                         position_text(text, text.size())));
    }
    const std::size_t word = start_of_word(text, offset);
    const bool non_finite = starts_non_finite_word(text.substr(word));
    throw Error(concat(beginning, non_finite ? "NaN or infinity" : "it is not JSON", " at ",
                       position_text(text, non_finite ? word : offset),
                       non_finite ? " is not JSON; unknown numbers are written as null" : ""));
  } catch (const nlohmann::json::exception&) {
    throw Error(beginning + "it holds a number that is too large");
  }
}

std::optional<double> optional_real(const Node& object, const std::string& key) {
  const Node value = object[key];
  if (value.is_null()) return number_of_reason(object, key);
  return value.real();
}

double real(const Node& object, const std::string& key) {
  return optional_real(object, key).value_or(std::numeric_limits<double>::quiet_NaN());
}

std::string text_or_empty(const Node& object, const std::string& key) {
  const Node value = object[key];
  return value.is_null() ? std::string() : value.text();
}

std::string read_text(const Node& node) {
  return node.text();
}

Header read_header(const Node& node) {
  Header header;
  header.command_line = list(node["command_line"], read_text);
  const Node configuration = node["configuration"];
  configuration.each_member([&](const std::string& key, const Node& value) {
    if (is_reason(configuration, key)) return;
    header.configuration.emplace_back(
        key, value.is_null() ? ConfigurationValue(real(configuration, key)) : value.scalar());
  });
  header.environment = read_environment(node["environment"]);
  header.warnings = list(node["warnings"], read_text);
  return header;
}

ModelFacts read_model(const Node& node) {
  return {.spec = node["spec"].text(),
          .parameter_count = node["parameter_count"].count(),
          .parameter_bytes = node["parameter_bytes"].count(),
          .buffer_bytes = node["buffer_bytes"].count()};
}

StrategyOutcome read_strategy(const Node& node) {
  return {.spec = node["spec"].text(),
          .effective_keep_ratio = real(node, "effective_keep_ratio"),
          .forward_exact = node["forward_exact"].boolean()};
}

PlanEntry read_plan_entry(const Node& node) {
  PlanEntry entry;
  entry.site = node["site"].text();
  entry.kind = node["kind"].text();
  entry.claimed_by = node["claimed_by"].text();
  entry.select = node["select"].text();
  entry.keep_ratio = optional_real(node, "keep_ratio");
  entry.effective_keep_ratio = optional_real(node, "effective_keep_ratio");
  entry.rows = node["rows"].integer();
  entry.kept_rows = node["kept_rows"].integer();
  entry.mask_group = node["mask_group"].text();
  entry.materialise = node["materialise"].text();
  entry.code = node["code"].text();
  return entry;
}

}  // namespace sbp::reports
