#include "reports/json.h"

#include <cmath>

#include "reports/json_blocks.h"
#include "reports/json_correlate.h"
#include "reports/json_device_memory.h"
#include "reports/json_words.h"
#include "reports/json_writing.h"

namespace sbp::reports {
namespace {

// Why a run has no number of the kind that only arithmetic gives.
std::string_view why_not_computed(const Header& header) {
  for (const auto& [key, value] : header.configuration) {
    const std::string* word = std::get_if<std::string>(&value);
    if (key == "device" && word != nullptr && *word == "meta") {
      return "the meta device computes nothing";
    }
  }
  return "not measured";
}

// ---- memory

Json ledger_json(const profiler::LedgerCheck& ledger) {
  Json object = Json::object();
  object["allocate_events"] = ledger.allocate_events;
  object["free_events"] = ledger.free_events;
  object["dropped_events"] = ledger.dropped_events;
  object["unmatched_frees"] = ledger.unmatched_frees;
  object["recounts"] = ledger.recounts;
  object["balanced"] = ledger.balanced;
  object["peak_is_lower_bound"] = ledger.peak_is_lower_bound;
  object["first_problem"] = ledger.first_problem;
  return object;
}

Json layer_json(const profiler::LayerMemory& layer) {
  Json object = Json::object();
  object["name"] = layer.name;
  object["kind"] = layer.kind;
  set_saved(object, layer.saved);
  object["own_peak_bytes"] = layer.own_peak_bytes;
  object["own_categories_at_peak"] = categories_json(layer.own_categories_at_peak, false);
  return object;
}

Json layers_json(const std::vector<profiler::LayerMemory>& layers) {
  Json array = Json::array();
  for (const auto& layer : layers) array.push_back(layer_json(layer));
  return array;
}

Json moment_json(const profiler::PeakMoment& moment) {
  Json object = Json::object();
  object["bytes"] = moment.bytes;
  object["phase"] = std::string(to_string(moment.phase));
  object["layer"] = moment.layer;
  object["time_ns"] = moment.time_ns;
  object["record_index"] = moment.record_index;
  return object;
}

Json cells_json(const std::vector<profiler::PeakCell>& cells) {
  Json array = Json::array();
  for (const auto& cell : cells) {
    Json object = Json::object();
    object["layer"] = cell.layer;
    object["phase"] = std::string(to_string(cell.phase));
    object["category"] = std::string(to_string(cell.category));
    object["bytes"] = cell.bytes;
    array.push_back(std::move(object));
  }
  return array;
}

Json phases_json(const std::vector<profiler::PhaseMemory>& phases) {
  Json array = Json::array();
  for (const auto& phase : phases) {
    Json object = Json::object();
    object["phase"] = std::string(to_string(phase.phase));
    object["peak_bytes"] = phase.peak_bytes;
    object["live_at_end_bytes"] = phase.live_at_end_bytes;
    object["allocated_bytes"] = phase.allocated_bytes;
    object["allocate_events"] = phase.allocate_events;
    array.push_back(std::move(object));
  }
  return array;
}

Json timeline_json(const std::vector<profiler::TimelinePoint>& timeline) {
  Json array = Json::array();
  for (const auto& point : timeline) {
    Json object = Json::object();
    object["time_ns"] = point.time_ns;
    object["live_bytes"] = point.live_bytes;
    object["phase"] = std::string(to_string(point.phase));
    array.push_back(std::move(object));
  }
  return array;
}

Json memory_json(const profiler::MemoryProfile& memory) {
  Json object = Json::object();
  object["peak_bytes"] = memory.peak.bytes;
  object["peak_phase"] = std::string(to_string(memory.peak.phase));
  object["peak_layer"] = memory.peak.layer;
  object["peak_time_ns"] = memory.peak.time_ns;
  object["peak_record_index"] = memory.peak.record_index;
  object["transient_peak_bytes"] = memory.transient_peak_bytes;
  if (memory.runner_up == profiler::PeakMoment{}) {
    set_unknown(object, "runner_up", "memory was live in one phase and layer only");
  } else {
    object["runner_up"] = moment_json(memory.runner_up);
  }
  object["saved"] = saved_json(memory.saved);
  object["categories_at_peak"] = categories_json(memory.categories_at_peak, true);
  object["ledger"] = ledger_json(memory.ledger);
  object["phases"] = phases_json(memory.phases);
  object["layers"] = layers_json(memory.layers);
  object["cells_at_peak"] = cells_json(memory.cells_at_peak);
  object["timeline"] = timeline_json(memory.timeline);
  if (memory.blocks) {
    object["blocks"] = blocks_json(*memory.blocks);
  } else {
    set_unknown(object, "blocks", "not kept; sbp-profile --blocks keeps them");
  }
  return object;
}

Json summary_json(const MemorySummary& memory) {
  Json object = Json::object();
  object["peak_bytes"] = memory.peak_bytes;
  set_text(object, "peak_phase", memory.peak_phase, "not recorded");
  object["transient_peak_bytes"] = memory.transient_peak_bytes;
  object["saved"] = saved_json(memory.saved);
  object["categories_at_peak"] = categories_json(memory.categories_at_peak, true);
  object["ledger"] = ledger_json(memory.ledger);
  return object;
}

// ---- time and training

Json summary_json(const TimeSummary& time) {
  Json object = Json::object();
  set_real(object, "median", time.median);
  set_real(object, "minimum", time.minimum);
  set_real(object, "maximum", time.maximum);
  object["count"] = time.count;
  return object;
}

Json times_json(const StepTimes& times) {
  Json object = Json::object();
  object["step_seconds"] = summary_json(times.step);
  object["forward_seconds"] = summary_json(times.forward);
  object["backward_seconds"] = summary_json(times.backward);
  object["optimizer_seconds"] = summary_json(times.optimizer);
  set_real(object, "samples_per_second", times.samples_per_second);
  return object;
}

Json evaluation_json(const Evaluation& evaluation) {
  Json object = Json::object();
  set_real(object, "loss", evaluation.loss);
  set_real(object, "top1", evaluation.top1);
  set_real(object, "top5", evaluation.top5);
  object["samples"] = evaluation.samples;
  return object;
}

constexpr const char* kNoAverage = "no averaged weights were kept";

Json epoch_json(const EpochResult& epoch) {
  Json object = Json::object();
  object["epoch"] = epoch.epoch;
  object["steps"] = epoch.steps;
  set_real(object, "train_loss", epoch.train_loss);
  set_real(object, "learning_rate", epoch.learning_rate);
  set_real(object, "seconds", epoch.seconds);
  set_real(object, "data_wait_seconds", epoch.data_wait_seconds);
  set_real(object, "samples_per_second", epoch.samples_per_second);
  if (epoch.evaluation) {
    object["evaluation"] = evaluation_json(*epoch.evaluation);
  } else {
    set_unknown(object, "evaluation", "not evaluated after this epoch");
  }
  if (epoch.averaged_evaluation) {
    object["averaged_evaluation"] = evaluation_json(*epoch.averaged_evaluation);
  } else {
    set_unknown(object, "averaged_evaluation",
                epoch.evaluation ? kNoAverage : "not evaluated after this epoch");
  }
  if (epoch.resident_bytes) {
    object["resident_bytes"] = *epoch.resident_bytes;
  } else {
    set_unknown(object, "resident_bytes", "not measured");
  }
  return object;
}

void set_step_losses(Json& object, const std::vector<double>& losses) {
  Json array = Json::array();
  bool finite = true;
  for (const double loss : losses) {
    finite = finite && std::isfinite(loss);
    array.push_back(std::isfinite(loss) ? Json(loss) : Json(nullptr));
  }
  object["step_losses"] = std::move(array);
  if (!finite) object["step_losses_reason"] = "each null is a loss that was not finite";
}

}  // namespace

Json categories_json(const profiler::CategoryBytes& bytes, bool with_zeros) {
  Json object = Json::object();
  for (int i = 0; i < profiler::kCategoryCount; ++i) {
    const std::int64_t value = bytes[static_cast<std::size_t>(i)];
    if (value == 0 && !with_zeros) continue;
    object[std::string(to_string(static_cast<profiler::Category>(i)))] = value;
  }
  return object;
}

Json saved_json(const profiler::SavedBytes& saved) {
  Json object = Json::object();
  object["logical_bytes"] = saved.logical_bytes;
  object["distinct_bytes"] = saved.distinct_bytes;
  object["marginal_bytes"] = saved.marginal_bytes;
  object["index_bytes"] = saved.index_bytes;
  object["count"] = saved.count;
  return object;
}

void set_saved(Json& layer, const profiler::SavedBytes& saved) {
  layer["saved_logical_bytes"] = saved.logical_bytes;
  layer["saved_distinct_bytes"] = saved.distinct_bytes;
  layer["saved_marginal_bytes"] = saved.marginal_bytes;
  layer["saved_index_bytes"] = saved.index_bytes;
  layer["saved_count"] = saved.count;
}

std::string to_json(const ProfileReport& report) {
  const std::string_view reason = why_not_computed(report.header);
  Json object = header_json(report.header, kProfileKind);
  object["model"] = model_json(report.model);
  object["strategy"] = strategy_json(report.strategy);
  object["plan"] = plan_array(report.plan);
  set_real(object, "loss", report.loss, reason);
  if (report.time) {
    object["time"] = times_json(*report.time);
  } else {
    set_unknown(object, "time", reason);
  }
  if (report.resident_set) {
    Json resident = Json::object();
    resident["before_bytes"] = report.resident_set->before_bytes;
    resident["peak_bytes"] = report.resident_set->peak_bytes;
    object["resident_set"] = std::move(resident);
  } else {
    set_unknown(object, "resident_set", "not measured");
  }
  if (report.device_memory) {
    object["device_memory"] = device_memory_json(*report.device_memory);
  } else {
    set_unknown(object, "device_memory", "the run was on no CUDA device");
  }
  set_real(object, "tracing_seconds", report.tracing_seconds, "not measured");
  object["memory"] = memory_json(report.memory);
  return document(object);
}

std::string to_json(const TrainReport& report) {
  Json object = header_json(report.header, kTrainKind);
  object["model"] = model_json(report.model);
  object["strategy"] = strategy_json(report.strategy);
  object["plan"] = plan_array(report.plan);
  object["interrupted"] = report.interrupted;
  object["steps"] = report.steps;
  set_real(object, "seconds", report.seconds);
  if (report.resumed_from) {
    object["resumed_from"] = *report.resumed_from;
  } else {
    set_unknown(object, "resumed_from", "not resumed");
  }
  set_text(object, "weights_checksum", report.weights_checksum, "not computed");
  Json epochs = Json::array();
  for (const EpochResult& epoch : report.epochs) epochs.push_back(epoch_json(epoch));
  object["epochs"] = std::move(epochs);
  if (report.final_evaluation) {
    object["final_evaluation"] = evaluation_json(*report.final_evaluation);
  } else {
    set_unknown(object, "final_evaluation",
                report.interrupted ? "interrupted before the evaluation" : "not evaluated");
  }
  if (report.final_averaged_evaluation) {
    object["final_averaged_evaluation"] = evaluation_json(*report.final_averaged_evaluation);
  } else {
    set_unknown(object, "final_averaged_evaluation",
                report.interrupted ? "interrupted before the evaluation" : kNoAverage);
  }
  if (report.memory) {
    object["memory"] = summary_json(*report.memory);
  } else {
    set_unknown(object, "memory", "no step was traced");
  }
  object["fidelity"] = fidelity_points_json(report.fidelity);
  set_step_losses(object, report.step_losses);
  return document(object);
}

std::string plan_json(const std::vector<PlanEntry>& plan, const StrategyOutcome& strategy) {
  Json object = Json::object();
  object["strategy"] = strategy_json(strategy);
  object["plan"] = plan_array(plan);
  return document(object);
}

}  // namespace sbp::reports
