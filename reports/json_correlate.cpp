#include "reports/json_correlate.h"

#include "reports/json.h"
#include "reports/json_words.h"

namespace sbp::reports {
namespace {

constexpr std::string_view kExactIsZero = "the exact gradient is zero, or absent";
constexpr std::string_view kNoUpdate =
    "not reckoned where gradients are clipped, or the update is zero";
constexpr std::string_view kNoNoise =
    "fewer than two masks on each batch, or nothing to relate it to (a variance or norm of 0)";
constexpr std::string_view kNotLocal = "not measured with exact surroundings, or no gradient";

// ---- writing

void set_agreement(Json& object, const Agreement& agreement) {
  set_real(object, "cosine", agreement.cosine, kExactIsZero);
  set_real(object, "relative_error", agreement.relative_error, kExactIsZero);
  set_real(object, "norm_ratio", agreement.norm_ratio, kExactIsZero);
  set_real(object, "sign_agreement", agreement.sign_agreement, kExactIsZero);
}

Json spread_json(const LayerSpread& spread) {
  constexpr std::string_view kReason = "no layer has such a figure";
  Json object = Json::object();
  set_real(object, "mean", spread.mean, kReason);
  set_real(object, "minimum", spread.minimum, kReason);
  set_text(object, "minimum_layer", spread.minimum_layer, kReason);
  set_real(object, "maximum", spread.maximum, kReason);
  set_text(object, "maximum_layer", spread.maximum_layer, kReason);
  return object;
}

Json over_layers_json(const AgreementOverLayers& over_layers) {
  Json object = Json::object();
  object["cosine"] = spread_json(over_layers.cosine);
  object["relative_error"] = spread_json(over_layers.relative_error);
  object["norm_ratio"] = spread_json(over_layers.norm_ratio);
  object["sign_agreement"] = spread_json(over_layers.sign_agreement);
  return object;
}

Json noise_json(const MaskNoise& noise) {
  Json object = Json::object();
  object["masks"] = noise.masks;
  set_real(object, "cosine_of_mean", noise.cosine_of_mean, kExactIsZero);
  set_real(object, "squared_bias", noise.squared_bias, kNoNoise);
  set_real(object, "variance", noise.variance, kNoNoise);
  set_real(object, "noise_ratio", noise.noise_ratio, kNoNoise);
  set_real(object, "effective_batch", noise.effective_batch, kNoNoise);
  return object;
}

Json layer_json(const LayerFidelity& layer) {
  Json object = Json::object();
  object["name"] = layer.name;
  object["kind"] = layer.kind;
  object["elements"] = layer.elements;
  set_agreement(object, layer.agreement);
  set_real(object, "local_cosine", layer.local_cosine, kNotLocal);
  set_real(object, "local_relative_error", layer.local_relative_error, kNotLocal);
  set_real(object, "exact_norm", layer.exact_norm, "not measured");
  set_real(object, "noise_ratio", layer.noise_ratio, kNoNoise);
  object["saved_distinct_bytes"] = layer.saved_distinct_bytes;
  return object;
}

Json parameter_json(const ParameterFidelity& parameter) {
  Json object = Json::object();
  object["name"] = parameter.name;
  object["layer"] = parameter.layer;
  object["elements"] = parameter.elements;
  set_agreement(object, parameter.agreement);
  return object;
}

Json baseline_json(const BaselineFidelity& baseline) {
  Json object = Json::object();
  object["name"] = baseline.name;
  set_agreement(object, baseline.agreement);
  set_real(object, "update_cosine", baseline.update_cosine, kNoUpdate);
  object["over_layers"] = over_layers_json(baseline.over_layers);
  return object;
}

Json strategy_fidelity_json(const StrategyFidelity& strategy) {
  Json object = strategy_json(strategy.strategy);
  object["name"] = strategy.name;
  object["scoring"] = std::string(to_string(strategy.scoring));
  set_agreement(object, strategy.agreement);
  set_real(object, "update_cosine", strategy.update_cosine, kNoUpdate);
  object["over_layers"] = over_layers_json(strategy.over_layers);
  object["noise"] = noise_json(strategy.noise);
  object["saved_distinct_bytes"] = strategy.saved_distinct_bytes;
  object["saved_index_bytes"] = strategy.saved_index_bytes;
  object["peak_bytes"] = strategy.peak_bytes;
  Json layers = Json::array(), parameters = Json::array();
  for (const LayerFidelity& layer : strategy.layers) layers.push_back(layer_json(layer));
  for (const ParameterFidelity& parameter : strategy.parameters) {
    parameters.push_back(parameter_json(parameter));
  }
  object["layers"] = std::move(layers);
  object["parameters"] = std::move(parameters);
  return object;
}

Json state_json(const TrainingState& state) {
  Json object = Json::object();
  object["steps"] = state.steps;
  object["source"] = state.source;
  set_real(object, "loss", state.loss);
  set_real(object, "gradient_norm", state.gradient_norm, "not measured");
  set_real(object, "batch_variance", state.batch_variance, "not measured");
  return object;
}

Json fidelity_json(const CorrelateReport& report) {
  Json object = Json::object();
  object["batches"] = report.batches;
  Json baselines = Json::array(), strategies = Json::array();
  for (const BaselineFidelity& baseline : report.baselines) {
    baselines.push_back(baseline_json(baseline));
  }
  for (const StrategyFidelity& strategy : report.strategies) {
    strategies.push_back(strategy_fidelity_json(strategy));
  }
  object["baselines"] = std::move(baselines);
  object["strategies"] = std::move(strategies);
  return object;
}

// ---- reading

Agreement read_agreement(const Node& node) {
  return {.cosine = optional_real(node, "cosine"),
          .relative_error = optional_real(node, "relative_error"),
          .norm_ratio = optional_real(node, "norm_ratio"),
          .sign_agreement = optional_real(node, "sign_agreement")};
}

LayerSpread read_spread(const Node& node) {
  return {.mean = optional_real(node, "mean"),
          .minimum = optional_real(node, "minimum"),
          .minimum_layer = text_or_empty(node, "minimum_layer"),
          .maximum = optional_real(node, "maximum"),
          .maximum_layer = text_or_empty(node, "maximum_layer")};
}

AgreementOverLayers read_over_layers(const Node& node) {
  return {.cosine = read_spread(node["cosine"]),
          .relative_error = read_spread(node["relative_error"]),
          .norm_ratio = read_spread(node["norm_ratio"]),
          .sign_agreement = read_spread(node["sign_agreement"])};
}

MaskNoise read_noise(const Node& node) {
  return {.masks = node["masks"].integer(),
          .cosine_of_mean = optional_real(node, "cosine_of_mean"),
          .squared_bias = optional_real(node, "squared_bias"),
          .variance = optional_real(node, "variance"),
          .noise_ratio = optional_real(node, "noise_ratio"),
          .effective_batch = optional_real(node, "effective_batch")};
}

LayerFidelity read_layer(const Node& node) {
  return {.name = node["name"].text(),
          .kind = node["kind"].text(),
          .elements = node["elements"].integer(),
          .agreement = read_agreement(node),
          .local_cosine = optional_real(node, "local_cosine"),
          .local_relative_error = optional_real(node, "local_relative_error"),
          .exact_norm = optional_real(node, "exact_norm"),
          .noise_ratio = optional_real(node, "noise_ratio"),
          .saved_distinct_bytes = node["saved_distinct_bytes"].integer()};
}

ParameterFidelity read_parameter(const Node& node) {
  return {.name = node["name"].text(),
          .layer = node["layer"].text(),
          .elements = node["elements"].integer(),
          .agreement = read_agreement(node)};
}

BaselineFidelity read_baseline(const Node& node) {
  return {.name = node["name"].text(),
          .agreement = read_agreement(node),
          .over_layers = read_over_layers(node["over_layers"]),
          .update_cosine = optional_real(node, "update_cosine")};
}

StrategyFidelity read_strategy_fidelity(const Node& node) {
  StrategyFidelity strategy;
  strategy.name = node["name"].text();
  strategy.strategy = read_strategy(node);
  strategy.scoring = word_of<Scoring>(node["scoring"], kScoringCount);
  strategy.agreement = read_agreement(node);
  strategy.over_layers = read_over_layers(node["over_layers"]);
  strategy.update_cosine = optional_real(node, "update_cosine");
  strategy.noise = read_noise(node["noise"]);
  strategy.saved_distinct_bytes = node["saved_distinct_bytes"].integer();
  strategy.saved_index_bytes = node["saved_index_bytes"].integer();
  strategy.peak_bytes = node["peak_bytes"].integer();
  strategy.layers = list(node["layers"], read_layer);
  strategy.parameters = list(node["parameters"], read_parameter);
  return strategy;
}

TrainingState read_state(const Node& node) {
  return {.steps = node["steps"].integer(),
          .source = node["source"].text(),
          .loss = real(node, "loss"),
          .gradient_norm = optional_real(node, "gradient_norm"),
          .batch_variance = optional_real(node, "batch_variance")};
}

}  // namespace

std::string_view to_string(Scoring scoring) {
  return scoring == Scoring::one_pass ? "one_pass" : "passes";
}

std::string to_json(const CorrelateReport& report) {
  Json object = header_json(report.header, kCorrelateKind);
  object["model"] = model_json(report.model);
  object["state"] = state_json(report.state);
  object["interrupted"] = report.interrupted;
  set_real(object, "seconds", report.seconds);
  object["fidelity"] = fidelity_json(report);
  return document(object);
}

CorrelateReport read_correlate(const Node& document) {
  CorrelateReport report;
  report.header = read_header(document);
  report.model = read_model(document["model"]);
  report.state = read_state(document["state"]);
  report.interrupted = document["interrupted"].boolean();
  report.seconds = real(document, "seconds");
  const Node fidelity = document["fidelity"];
  report.batches = fidelity["batches"].integer();
  report.baselines = list(fidelity["baselines"], read_baseline);
  report.strategies = list(fidelity["strategies"], read_strategy_fidelity);
  return report;
}

Json fidelity_points_json(const std::vector<FidelityPoint>& points) {
  Json array = Json::array();
  for (const FidelityPoint& point : points) {
    Json object = Json::object();
    object["step"] = point.step;
    set_agreement(object, point.agreement);
    object["layer_cosine"] = spread_json(point.cosine_over_layers);
    array.push_back(std::move(object));
  }
  return array;
}

FidelityPoint read_fidelity_point(const Node& node) {
  return {.step = node["step"].integer(),
          .agreement = read_agreement(node),
          .cosine_over_layers = read_spread(node["layer_cosine"])};
}

}  // namespace sbp::reports
