#include "reports/json.h"
#include "reports/json_blocks.h"
#include "reports/json_correlate.h"
#include "reports/json_device_memory.h"
#include "reports/json_prediction.h"
#include "reports/json_reading.h"
#include "reports/json_words.h"

namespace sbp::reports {
namespace {

Phase read_phase(const Node& node) {
  return word_of<Phase>(node, kPhaseCount);
}

profiler::Category read_category(const Node& node) {
  return word_of<profiler::Category>(node, profiler::kCategoryCount);
}

// ---- memory

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
  return static_cast<std::uint64_t>(node.count());
}

profiler::LayerMemory read_layer(const Node& node) {
  profiler::LayerMemory layer;
  layer.name = node["name"].text();
  layer.kind = node["kind"].text();
  layer.saved = read_layer_saved(node);
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
  memory.blocks = later_part(node, "blocks", read_blocks);
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
  report.device_memory = later_part(node, "device_memory", read_device_memory);
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
  if (node.has("fidelity")) report.fidelity = list(node["fidelity"], read_fidelity_point);
  report.step_losses = list(node["step_losses"], read_loss);
  return report;
}

// ---- the document

void check_version(const Node& document) {
  const std::string version = document["schema_version"].text();
  const std::string_view ours = kSchemaVersion;
  const std::string_view major = ours.substr(0, ours.find('.'));
  if (version.substr(0, version.find('.')) != major) {
    document["schema_version"].fail(
        concat("is ", "'", version, "'", ", this program reads versions ", major, ".x"));
  }
}

}  // namespace

profiler::CategoryBytes read_categories(const Node& node) {
  profiler::CategoryBytes bytes{};
  node.each_member([&](const std::string& key, const Node& value) {
    for (int i = 0; i < profiler::kCategoryCount; ++i) {
      if (to_string(static_cast<profiler::Category>(i)) != key) continue;
      bytes[static_cast<std::size_t>(i)] = value.integer();
    }
  });
  return bytes;
}

profiler::SavedBytes read_layer_saved(const Node& layer) {
  return {.logical_bytes = layer["saved_logical_bytes"].count(),
          .distinct_bytes = layer["saved_distinct_bytes"].count(),
          .marginal_bytes = layer["saved_marginal_bytes"].count(),
          .index_bytes = layer["saved_index_bytes"].count(),
          .count = layer["saved_count"].count()};
}

profiler::SavedBytes read_saved(const Node& node) {
  return {.logical_bytes = node["logical_bytes"].count(),
          .distinct_bytes = node["distinct_bytes"].count(),
          .marginal_bytes = node["marginal_bytes"].count(),
          .index_bytes = node["index_bytes"].count(),
          .count = node["count"].count()};
}

AnyReport parse_report(std::string_view json, std::string_view source) {
  const Json value = parse_json(json, source);
  const Node document(value, source);
  if (!document.has("schema")) document.fail("is not a report, it has no schema");
  const std::string schema = document["schema"].text();
  if (schema != kSchemaName) {
    document["schema"].fail(concat("is ", "'", schema, "'", ", not ", "'", kSchemaName, "'"));
  }
  check_version(document);
  const std::string kind = document["kind"].text();
  if (kind == kProfileKind) return read_profile(document);
  if (kind == kTrainKind) return read_train(document);
  if (kind == kCorrelateKind) return read_correlate(document);
  if (kind == kSweepKind) return read_sweep(document);
  if (kind == kPredictionKind) return read_prediction(document);
  document["kind"].fail(concat("is ", "'", kind, "'", ", not one of ", kProfileKind, ", ",
                               kTrainKind, ", ", kCorrelateKind, ", ", kSweepKind, ", ",
                               kPredictionKind));
}

}  // namespace sbp::reports
