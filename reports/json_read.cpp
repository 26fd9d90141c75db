#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "reports/json.h"
#include "reports/json_words.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Json = nlohmann::ordered_json;

std::string in_quotes(std::string_view text) {
  return concat("'", text, "'");
}

// One value of the document, and the way to it for messages.
class Node {
 public:
  Node(const Json& value, std::string_view source) : value_(&value), source_(source) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(concat("cannot read report ", in_quotes(source_), ": ",
                       path_.empty() ? "it" : path_, " ", what));
  }

  Node operator[](const std::string& key) const {
    require(value_->is_object(), "an object");
    const auto found = value_->find(key);
    const Node child(found == value_->end() ? *value_ : *found, source_,
                     path_.empty() ? key : path_ + "." + key);
    if (found == value_->end()) child.fail("is missing");
    return child;
  }

  bool has(const std::string& key) const { return value_->is_object() && value_->contains(key); }
  bool is_null() const { return value_->is_null(); }

  std::int64_t integer() const {
    require(value_->is_number_integer(), "a whole number");
    if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > kLargest) {
      fail("is too large for a whole number of 64 bits");
    }
    return value_->get<std::int64_t>();
  }

  bool boolean() const {
    require(value_->is_boolean(), "true or false");
    return value_->get<bool>();
  }

  std::string text() const {
    require(value_->is_string(), "a text");
    return value_->get<std::string>();
  }

  std::vector<Node> elements() const {
    require(value_->is_array(), "a list");
    std::vector<Node> nodes;
    nodes.reserve(value_->size());
    for (const Json& element : *value_) {
      nodes.push_back(Node(element, source_, concat(path_, "[", nodes.size(), "]")));
    }
    return nodes;
  }

  // Calls function(key, child) for each member.
  template <typename Function>
  void each_member(Function function) const {
    require(value_->is_object(), "an object");
    for (const auto& item : value_->items()) {
      function(item.key(), Node(item.value(), source_, path_ + "." + item.key()));
    }
  }

  double real() const {
    require(value_->is_number(), "a number");
    return value_->get<double>();
  }

  ConfigurationValue scalar() const {
    if (value_->is_number_integer()) return integer();
    if (value_->is_number()) return real();
    if (value_->is_boolean()) return boolean();
    return text();
  }

 private:
  static constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();

  Node(const Json& value, std::string_view source, std::string path)
      : value_(&value), source_(source), path_(std::move(path)) {}

  void require(bool right, std::string_view wanted) const {
    if (!right) fail(concat("must be ", wanted, ", not ", value_->type_name()));
  }

  const Json* value_;
  std::string_view source_;
  std::string path_;
};

// ---- values that may be null

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

template <typename Read>
auto optional_part(const Node& object, const std::string& key, Read read)
    -> std::optional<decltype(read(object))> {
  const Node value = object[key];
  if (value.is_null()) return std::nullopt;
  return read(value);
}

// The same for a key that reports of earlier versions lack.
template <typename Read>
auto later_part(const Node& object, const std::string& key, Read read)
    -> std::optional<decltype(read(object))> {
  if (!object.has(key)) return std::nullopt;
  return optional_part(object, key, read);
}

template <typename Read>
auto list(const Node& array, Read read) -> std::vector<decltype(read(array))> {
  std::vector<decltype(read(array))> values;
  for (const Node& element : array.elements()) values.push_back(read(element));
  return values;
}

std::string read_text(const Node& node) {
  return node.text();
}

template <typename Word>
Word word_of(const Node& node, int count) {
  const std::string text = node.text();
  std::vector<std::string> known;
  for (int i = 0; i < count; ++i) {
    const Word word = static_cast<Word>(i);
    if (to_string(word) == text) return word;
    known.emplace_back(to_string(word));
  }
  node.fail(concat("is ", in_quotes(text), ", not one of ", join(known)));
}

Phase read_phase(const Node& node) {
  return word_of<Phase>(node, kPhaseCount);
}

profiler::Category read_category(const Node& node) {
  return word_of<profiler::Category>(node, profiler::kCategoryCount);
}

// ---- parts shared by both kinds

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
          .parameter_count = node["parameter_count"].integer(),
          .parameter_bytes = node["parameter_bytes"].integer(),
          .buffer_bytes = node["buffer_bytes"].integer()};
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

// ---- memory

profiler::CategoryBytes read_categories(const Node& node) {
  profiler::CategoryBytes bytes{};
  for (int i = 0; i < profiler::kCategoryCount; ++i) {
    const std::string key(to_string(static_cast<profiler::Category>(i)));
    if (node.has(key)) bytes[static_cast<std::size_t>(i)] = node[key].integer();
  }
  return bytes;
}

profiler::SavedBytes read_saved(const Node& node) {
  return {.logical_bytes = node["logical_bytes"].integer(),
          .distinct_bytes = node["distinct_bytes"].integer(),
          .marginal_bytes = node["marginal_bytes"].integer(),
          .index_bytes = node["index_bytes"].integer(),
          .count = node["count"].integer()};
}

profiler::LedgerCheck read_ledger(const Node& node) {
  profiler::LedgerCheck ledger;
  ledger.allocate_events = node["allocate_events"].integer();
  ledger.free_events = node["free_events"].integer();
  ledger.dropped_events = node["dropped_events"].integer();
  ledger.unmatched_frees = node["unmatched_frees"].integer();
  ledger.recounts = node["recounts"].integer();
  ledger.balanced = node["balanced"].boolean();
  ledger.peak_is_lower_bound = node["peak_is_lower_bound"].boolean();
  ledger.first_problem = node["first_problem"].text();
  return ledger;
}

std::uint64_t read_time_ns(const Node& node) {
  const std::int64_t value = node.integer();
  if (value < 0) node.fail("must not be negative");
  return static_cast<std::uint64_t>(value);
}

profiler::LayerMemory read_layer(const Node& node) {
  profiler::LayerMemory layer;
  layer.name = node["name"].text();
  layer.kind = node["kind"].text();
  layer.saved = {.logical_bytes = node["saved_logical_bytes"].integer(),
                 .distinct_bytes = node["saved_distinct_bytes"].integer(),
                 .marginal_bytes = node["saved_marginal_bytes"].integer(),
                 .index_bytes = node["saved_index_bytes"].integer(),
                 .count = node["saved_count"].integer()};
  layer.own_peak_bytes = node["own_peak_bytes"].integer();
  layer.own_categories_at_peak = read_categories(node["own_categories_at_peak"]);
  return layer;
}

profiler::PeakMoment read_moment(const Node& node) {
  return {.bytes = node["bytes"].integer(),
          .phase = read_phase(node["phase"]),
          .layer = node["layer"].text(),
          .time_ns = read_time_ns(node["time_ns"]),
          .record_index = node["record_index"].integer()};
}

profiler::PeakCell read_cell(const Node& node) {
  return {.layer = node["layer"].text(),
          .phase = read_phase(node["phase"]),
          .category = read_category(node["category"]),
          .bytes = node["bytes"].integer()};
}

profiler::PhaseMemory read_phase_memory(const Node& node) {
  return {.phase = read_phase(node["phase"]),
          .peak_bytes = node["peak_bytes"].integer(),
          .live_at_end_bytes = node["live_at_end_bytes"].integer(),
          .allocated_bytes = node["allocated_bytes"].integer(),
          .allocate_events = node["allocate_events"].integer()};
}

profiler::TimelinePoint read_point(const Node& node) {
  return {.time_ns = read_time_ns(node["time_ns"]),
          .live_bytes = node["live_bytes"].integer(),
          .phase = read_phase(node["phase"])};
}

profiler::MemoryProfile read_memory(const Node& node) {
  profiler::MemoryProfile memory;
  memory.peak = {.bytes = node["peak_bytes"].integer(),
                 .phase = read_phase(node["peak_phase"]),
                 .layer = node["peak_layer"].text(),
                 .time_ns = read_time_ns(node["peak_time_ns"]),
                 .record_index = node["peak_record_index"].integer()};
  memory.transient_peak_bytes = node["transient_peak_bytes"].integer();
  memory.runner_up = optional_part(node, "runner_up", read_moment).value_or(profiler::PeakMoment{});
  memory.saved = read_saved(node["saved"]);
  memory.categories_at_peak = read_categories(node["categories_at_peak"]);
  memory.ledger = read_ledger(node["ledger"]);
  memory.phases = list(node["phases"], read_phase_memory);
  memory.layers = list(node["layers"], read_layer);
  memory.cells_at_peak = list(node["cells_at_peak"], read_cell);
  memory.timeline = list(node["timeline"], read_point);
  return memory;
}

MemorySummary read_memory_summary(const Node& node) {
  MemorySummary memory;
  memory.peak_bytes = node["peak_bytes"].integer();
  memory.peak_phase = text_or_empty(node, "peak_phase");
  memory.transient_peak_bytes = node["transient_peak_bytes"].integer();
  memory.saved = read_saved(node["saved"]);
  memory.categories_at_peak = read_categories(node["categories_at_peak"]);
  memory.ledger = read_ledger(node["ledger"]);
  return memory;
}

// ---- time and training

TimeSummary read_time_summary(const Node& node) {
  return {.median = real(node, "median"),
          .minimum = real(node, "minimum"),
          .maximum = real(node, "maximum"),
          .count = node["count"].integer()};
}

StepTimes read_times(const Node& node) {
  return {.step = read_time_summary(node["step_seconds"]),
          .forward = read_time_summary(node["forward_seconds"]),
          .backward = read_time_summary(node["backward_seconds"]),
          .optimizer = read_time_summary(node["optimizer_seconds"]),
          .samples_per_second = real(node, "samples_per_second")};
}

ResidentSet read_resident_set(const Node& node) {
  return {.before_bytes = node["before_bytes"].integer(),
          .peak_bytes = node["peak_bytes"].integer()};
}

Evaluation read_evaluation(const Node& node) {
  return {.loss = real(node, "loss"),
          .top1 = real(node, "top1"),
          .top5 = real(node, "top5"),
          .samples = node["samples"].integer()};
}

std::int64_t read_bytes(const Node& node) {
  return node.integer();
}

EpochResult read_epoch(const Node& node) {
  EpochResult epoch;
  epoch.epoch = node["epoch"].integer();
  epoch.steps = node["steps"].integer();
  epoch.train_loss = real(node, "train_loss");
  epoch.learning_rate = real(node, "learning_rate");
  epoch.seconds = real(node, "seconds");
  epoch.data_wait_seconds = real(node, "data_wait_seconds");
  epoch.samples_per_second = real(node, "samples_per_second");
  epoch.evaluation = optional_part(node, "evaluation", read_evaluation);
  epoch.averaged_evaluation = later_part(node, "averaged_evaluation", read_evaluation);
  epoch.resident_bytes = later_part(node, "resident_bytes", read_bytes);
  return epoch;
}

double read_loss(const Node& node) {
  return node.is_null() ? std::numeric_limits<double>::quiet_NaN() : node.real();
}

ProfileReport read_profile(const Node& node) {
  ProfileReport report;
  report.header = read_header(node);
  report.model = read_model(node["model"]);
  report.strategy = read_strategy(node["strategy"]);
  report.plan = list(node["plan"], read_plan_entry);
  report.loss = optional_real(node, "loss");
  report.time = optional_part(node, "time", read_times);
  report.resident_set = optional_part(node, "resident_set", read_resident_set);
  report.tracing_seconds = optional_real(node, "tracing_seconds");
  report.memory = read_memory(node["memory"]);
  return report;
}

TrainReport read_train(const Node& node) {
  TrainReport report;
  report.header = read_header(node);
  report.model = read_model(node["model"]);
  report.strategy = read_strategy(node["strategy"]);
  report.plan = list(node["plan"], read_plan_entry);
  report.interrupted = node["interrupted"].boolean();
  report.steps = node["steps"].integer();
  report.seconds = real(node, "seconds");
  // Reports made before these keys existed do without.
  if (node.has("resumed_from") && !node["resumed_from"].is_null()) {
    report.resumed_from = node["resumed_from"].integer();
  }
  if (node.has("weights_checksum")) {
    report.weights_checksum = text_or_empty(node, "weights_checksum");
  }
  report.epochs = list(node["epochs"], read_epoch);
  report.final_evaluation = optional_part(node, "final_evaluation", read_evaluation);
  report.final_averaged_evaluation = later_part(node, "final_averaged_evaluation", read_evaluation);
  report.memory = optional_part(node, "memory", read_memory_summary);
  report.step_losses = list(node["step_losses"], read_loss);
  return report;
}

// ---- the document

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

Json parse_json(std::string_view text, std::string_view source) {
  const std::string beginning = concat("cannot read report ", in_quotes(source), ": ");
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

void check_version(const Node& document) {
  const std::string version = document["schema_version"].text();
  const std::string_view ours = kSchemaVersion;
  const std::string_view major = ours.substr(0, ours.find('.'));
  if (version.substr(0, version.find('.')) != major) {
    document["schema_version"].fail(
        concat("is ", in_quotes(version), ", this program reads versions ", major, ".x"));
  }
}

}  // namespace

AnyReport parse_report(std::string_view json, std::string_view source) {
  const Json value = parse_json(json, source);
  const Node document(value, source);
  if (!document.has("schema")) document.fail("is not a report, it has no schema");
  const std::string schema = document["schema"].text();
  if (schema != kSchemaName) {
    document["schema"].fail(concat("is ", in_quotes(schema), ", not ", in_quotes(kSchemaName)));
  }
  check_version(document);
  const std::string kind = document["kind"].text();
  if (kind == kProfileKind) return read_profile(document);
  if (kind == kTrainKind) return read_train(document);
  document["kind"].fail(
      concat("is ", in_quotes(kind), ", not one of ", kProfileKind, ", ", kTrainKind));
}

}  // namespace sbp::reports
