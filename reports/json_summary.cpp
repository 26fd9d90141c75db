// The summary of a sweep to JSON. It is made of the points, so nothing reads it back.
#include "reports/json_writing.h"
#include "reports/sweep_summary.h"

namespace sbp::reports {
namespace {

constexpr const char* kOneValue = "of one value";

Json estimate_json(const std::string& name, const Estimate& estimate) {
  Json object = Json::object();
  object["name"] = name;
  object["count"] = estimate.count;
  set_real(object, "mean", estimate.mean);
  set_real(object, "standard_deviation", estimate.standard_deviation, kOneValue);
  set_real(object, "low", estimate.low, kOneValue);
  set_real(object, "high", estimate.high, kOneValue);
  return object;
}

Json difference_json(const FigureDifference& difference) {
  Json object = estimate_json(difference.name, difference.estimate);
  if (difference.resolved) {
    object["resolved"] = *difference.resolved;
  } else {
    set_unknown(object, "resolved", "of one pair of seeds");
  }
  return object;
}

void set_mark(Json& object, const char* name, const std::optional<bool>& mark) {
  if (mark) {
    object[name] = *mark;
  } else {
    set_unknown(object, name, "not both of peak bytes and this figure are known");
  }
}

Json group_json(const SweepSummary& summary, const SweepGroup& group) {
  Json object = Json::object();
  Json axes = Json::object();
  for (std::size_t i = 0; i < summary.axes.size(); ++i) {
    if (group.values[i]) {
      axes[summary.axes[i]] = *group.values[i];
    } else {
      set_unknown(axes, summary.axes[i], "the axis names nothing of these points");
    }
  }
  object["axes"] = std::move(axes);
  object["points"] = group.points;
  object["finished"] = group.finished;
  object["unfinished"] = group.unfinished;
  object["fewer_seeds"] = group.fewer_seeds;
  Json figures = Json::array();
  for (const auto& [name, estimate] : group.figures) {
    figures.push_back(estimate_json(name, estimate));
  }
  object["figures"] = std::move(figures);
  if (group.baseline) {
    object["baseline_group"] = *group.baseline;
  } else {
    set_unknown(object, "baseline_group", "it is a baseline, or no group or several are its own");
  }
  Json differences = Json::array();
  for (const FigureDifference& difference : group.differences) {
    differences.push_back(difference_json(difference));
  }
  object["differences"] = std::move(differences);
  set_mark(object, "pareto_cosine", group.pareto_cosine);
  set_mark(object, "pareto_top1", group.pareto_top1);
  return object;
}

}  // namespace

Json summary_json(const SweepSummary& summary) {
  Json object = Json::object();
  object["confidence"] = kConfidence;
  object["axes"] = summary.axes;
  object["baseline"] = summary.baseline;
  Json groups = Json::array();
  for (const SweepGroup& group : summary.groups) groups.push_back(group_json(summary, group));
  object["groups"] = std::move(groups);
  return object;
}

}  // namespace sbp::reports
