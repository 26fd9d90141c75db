#include "reports/json_prediction.h"

#include "reports/json.h"
#include "reports/json_allocator_log.h"
#include "reports/json_prediction_check.h"
#include "reports/json_words.h"
#include "reports/json_writing.h"

namespace sbp::reports {
namespace {

using predict::Prediction;

// ---- writing

Json moment_json(const predict::Moment& moment) {
  Json object = Json::object();
  object["step"] = moment.step;
  object["phase"] = std::string(to_string(moment.phase));
  object["layer"] = moment.layer;
  return object;
}

Json layers_json(const std::vector<predict::LayerBytes>& layers) {
  Json array = Json::array();
  for (const predict::LayerBytes& layer : layers) {
    Json object = Json::object();
    object["name"] = layer.name;
    object["kind"] = layer.kind;
    object["requested_bytes"] = layer.requested_bytes;
    object["block_bytes"] = layer.block_bytes;
    object["categories"] = categories_json(layer.categories, false);
    set_saved(object, layer.saved);
    array.push_back(std::move(object));
  }
  return array;
}

Json overheads_json(const std::vector<predict::NamedBytes>& overheads) {
  Json object = Json::object();
  for (const predict::NamedBytes& part : overheads) object[part.name] = part.bytes;
  return object;
}

Json accuracy_json(const predict::Accuracy& accuracy) {
  Json object = Json::object();
  object["runs"] = accuracy.runs;
  object["runs_of"] = accuracy.runs_of;
  object["median_error"] = accuracy.median_error;
  object["ninetieth_percentile_error"] = accuracy.ninetieth_percentile_error;
  object["worst_error"] = accuracy.worst_error;
  object["under_estimate_rate"] = accuracy.under_estimate_rate;
  object["under_by_5_percent_rate"] = accuracy.under_by_5_percent_rate;
  object["lowest_ratio"] = accuracy.lowest_ratio;
  object["highest_ratio"] = accuracy.highest_ratio;
  return object;
}

Json fit_json(const predict::Fit& fit) {
  Json object = Json::object();
  object["capacity_bytes"] = fit.capacity_bytes;
  object["fits"] = fit.fits;
  object["peak_device_bytes"] = fit.peak_device_bytes;
  object["retries"] = fit.retries;
  if (fit.failed_at) {
    object["failed_at"] = moment_json(*fit.failed_at);
    object["failed_bytes"] = fit.failed_bytes;
  } else {
    set_unknown(object, "failed_at", "it fits");
    set_unknown(object, "failed_bytes", "it fits");
  }
  return object;
}

Json prediction_json(const Prediction& prediction) {
  Json object = Json::object();
  object["device"] = prediction.device;
  object["allocator"] = prediction.allocator;
  object["steps"] = prediction.steps;
  object["peak_requested_bytes"] = prediction.peak_requested_bytes;
  object["peak_allocated_bytes"] = prediction.peak_allocated_bytes;
  object["peak_reserved_bytes"] = prediction.peak_reserved_bytes;
  object["peak_device_bytes"] = prediction.peak_device_bytes;
  object["interval_bytes"] = {prediction.interval.low_bytes, prediction.interval.high_bytes};
  object["accuracy"] = accuracy_json(prediction.accuracy);
  if (prediction.fits) {
    object["fits"] = fit_json(*prediction.fits);
  } else {
    set_unknown(object, "fits", "no capacity is known");
  }
  if (prediction.largest_batch) {
    Json batch = Json::object();
    batch["batch"] = prediction.largest_batch->batch;
    batch["peak_device_bytes"] = prediction.largest_batch->peak_device_bytes;
    if (prediction.largest_batch->cautious_batch) {
      batch["cautious_batch"] = *prediction.largest_batch->cautious_batch;
    } else {
      set_unknown(batch, "cautious_batch", "not searched for by the version that made the report");
    }
    batch["or_more"] = prediction.largest_batch->or_more;
    if (prediction.largest_batch->bound) {
      batch["bound"] = *prediction.largest_batch->bound;
    } else {
      set_unknown(batch, "bound",
                  prediction.largest_batch->or_more
                      ? "no batch that was tried takes more than the card has"
                      : "not searched for by the version that made the report");
    }
    object["largest_batch"] = std::move(batch);
  } else {
    set_unknown(object, "largest_batch", "not searched for; sbp-profile --largest-batch does");
  }
  object["allocated_peak"] = moment_json(prediction.allocated_peak);
  object["reserved_peak"] = moment_json(prediction.reserved_peak);
  object["overheads"] = overheads_json(prediction.overheads);
  object["layers"] = layers_json(prediction.layers);
  object["segments"] = prediction.segments;
  object["device_allocations"] = prediction.device_allocations;
  object["requests"] = prediction.requests;
  if (prediction.blocks) {
    object["blocks"] = allocator_log_json(*prediction.blocks);
  } else {
    set_unknown(object, "blocks", "not kept; sbp-profile --blocks keeps them");
  }
  return object;
}

// ---- reading

predict::Moment read_moment(const Node& node) {
  return {.step = node["step"].count(),
          .phase = word_of<Phase>(node["phase"], kPhaseCount),
          .layer = node["layer"].text()};
}

predict::LayerBytes read_layer(const Node& node) {
  return {.name = node["name"].text(),
          .kind = node["kind"].text(),
          .requested_bytes = node["requested_bytes"].count(),
          .block_bytes = node["block_bytes"].count(),
          .categories = read_categories(node["categories"]),
          .saved = read_layer_saved(node)};
}

predict::Accuracy read_accuracy(const Node& node) {
  return {.runs = node["runs"].count(),
          .runs_of = node.has("runs_of") ? node["runs_of"].text() : std::string(),
          .median_error = node["median_error"].real(),
          .ninetieth_percentile_error = node["ninetieth_percentile_error"].real(),
          .worst_error = node["worst_error"].real(),
          .under_estimate_rate = node["under_estimate_rate"].real(),
          .under_by_5_percent_rate = node["under_by_5_percent_rate"].real(),
          .lowest_ratio = node["lowest_ratio"].real(),
          .highest_ratio = node["highest_ratio"].real()};
}

predict::Fit read_fit(const Node& node) {
  predict::Fit fit{.capacity_bytes = node["capacity_bytes"].count(),
                   .fits = node["fits"].boolean(),
                   .peak_device_bytes = node["peak_device_bytes"].count(),
                   .retries = node["retries"].count()};
  fit.failed_at = optional_part(node, "failed_at", read_moment);
  if (fit.failed_at) fit.failed_bytes = node["failed_bytes"].count();
  return fit;
}

predict::LargestBatch read_largest_batch(const Node& node) {
  const auto count = [](const Node& value) { return value.count(); };
  return {.batch = node["batch"].count(),
          .peak_device_bytes = node["peak_device_bytes"].count(),
          .cautious_batch = later_part(node, "cautious_batch", count),
          .bound = later_part(node, "bound", count),
          .or_more = node.has("or_more") && node["or_more"].boolean()};
}

predict::Interval read_interval(const Node& node) {
  const std::vector<Node> ends = node.elements();
  if (ends.size() != 2) node.fail("must be a list of two numbers");
  return {ends[0].count(), ends[1].count()};
}

Prediction read_prediction_part(const Node& node) {
  Prediction prediction;
  prediction.device = node["device"].text();
  prediction.allocator = node["allocator"].text();
  prediction.steps = node["steps"].count();
  prediction.peak_requested_bytes = node["peak_requested_bytes"].count();
  prediction.peak_allocated_bytes = node["peak_allocated_bytes"].count();
  prediction.peak_reserved_bytes = node["peak_reserved_bytes"].count();
  prediction.peak_device_bytes = node["peak_device_bytes"].count();
  prediction.interval = read_interval(node["interval_bytes"]);
  prediction.accuracy = read_accuracy(node["accuracy"]);
  prediction.fits = optional_part(node, "fits", read_fit);
  prediction.largest_batch = optional_part(node, "largest_batch", read_largest_batch);
  prediction.allocated_peak = read_moment(node["allocated_peak"]);
  prediction.reserved_peak = read_moment(node["reserved_peak"]);
  node["overheads"].each_member([&](const std::string& name, const Node& bytes) {
    prediction.overheads.push_back({name, bytes.count()});
  });
  prediction.layers = list(node["layers"], read_layer);
  prediction.segments = node["segments"].count();
  prediction.device_allocations = node["device_allocations"].count();
  prediction.requests = node["requests"].count();
  prediction.blocks = optional_part(node, "blocks", read_allocator_log);
  check_prediction(node, prediction);
  return prediction;
}

}  // namespace

std::string to_json(const PredictionReport& report) {
  Json object = header_json(report.header, kPredictionKind);
  object["model"] = model_json(report.model);
  object["strategy"] = strategy_json(report.strategy);
  object["plan"] = plan_array(report.plan);
  set_real(object, "seconds", report.seconds);
  object["saved"] = saved_json(report.saved);
  object["prediction"] = prediction_json(report.prediction);
  return document(object);
}

PredictionReport read_prediction(const Node& document) {
  PredictionReport report;
  report.header = read_header(document);
  report.model = read_model(document["model"]);
  report.strategy = read_strategy(document["strategy"]);
  report.plan = list(document["plan"], read_plan_entry);
  report.seconds = real(document, "seconds");
  if (report.seconds < 0) document["seconds"].fail("must not be negative");
  report.saved = read_saved(document["saved"]);
  report.prediction = read_prediction_part(document["prediction"]);
  return report;
}

}  // namespace sbp::reports
