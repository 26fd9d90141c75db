// Sweep reports to JSON and back.
#include <set>

#include "reports/json.h"
#include "reports/json_reading.h"
#include "reports/json_words.h"
#include "reports/json_writing.h"
#include "reports/sweep_points.h"
#include "reports/sweep_summary.h"

namespace sbp::reports {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// ---- writing

void set_figure(Json& object, const char* name, const std::optional<std::int64_t>& value) {
  if (value) object[name] = *value;
}

void set_figure(Json& object, const char* name, const std::optional<double>& value) {
  if (value) set_real(object, name, *value);
}

Json figures_json(const PointFigures& figures) {
  Json object = Json::object();
  each_figure(figures,
              [&](const char* name, const auto& value) { set_figure(object, name, value); });
  return object;
}

Json axes_json(const std::vector<SweepAxis>& axes) {
  Json array = Json::array();
  for (const SweepAxis& axis : axes) {
    Json object = Json::object();
    object["name"] = axis.name;
    object["values"] = axis.values;
    array.push_back(std::move(object));
  }
  return array;
}

Json values_json(const SweepReport& report, const SweepPoint& point) {
  Json object = Json::object();
  for (std::size_t i = 0; i < report.axes.size(); ++i) {
    const std::string& name = report.axes[i].name;
    if (point.values[i]) {
      object[name] = *point.values[i];
    } else {
      set_unknown(object, name, "the axis names nothing of this point");
    }
  }
  return object;
}

Json point_json(const SweepReport& report, const SweepPoint& point) {
  Json object = Json::object();
  object["id"] = point.id;
  object["file"] = "points/" + point.id + ".json";
  object["axes"] = values_json(report, point);
  object["status"] = to_string(point.status);
  object["reason"] = point.reason;
  set_real(object, "seconds", point.seconds,
           point.status == PointStatus::finished ? "not recorded" : "not run to its end");
  if (point.estimated_bytes) {
    object["estimated_bytes"] = *point.estimated_bytes;
  } else {
    set_unknown(object, "estimated_bytes", "not estimated");
  }
  object["figures"] = figures_json(point.figures);
  return object;
}

// ---- reading

void read_figure(const Node& node, const std::string& name, std::optional<std::int64_t>& value) {
  if (node.has(name)) value = node[name].integer();
}

void read_figure(const Node& node, const std::string& name, std::optional<double>& value) {
  if (node.has(name)) value = optional_real(node, name);
}

PointFigures read_figures(const Node& node) {
  PointFigures figures;
  each_figure(figures, [&](const char* name, auto& value) { read_figure(node, name, value); });
  return figures;
}

SweepAxis read_axis(const Node& node) {
  return {.name = node["name"].text(), .values = list(node["values"], read_text)};
}

std::vector<SweepAxis> read_axes(const Node& array) {
  std::vector<SweepAxis> axes;
  std::set<std::string> names;
  for (const Node& node : array.elements()) {
    axes.push_back(read_axis(node));
    if (!names.insert(axes.back().name).second) {
      node["name"].fail(concat("is '", axes.back().name, "', which another axis is called"));
    }
  }
  return axes;
}

SweepPoint read_point(const Node& node, const std::vector<SweepAxis>& axes) {
  SweepPoint point;
  point.id = node["id"].text();
  // It names a file.
  if (point.id.empty() || point.id.find_first_not_of(kHexDigits) != std::string::npos) {
    node["id"].fail(concat("is '", point.id, "', not hexadecimal digits"));
  }
  for (const SweepAxis& axis : axes) {
    point.values.push_back(optional_part(node["axes"], axis.name, read_text));
  }
  point.status = word_of<PointStatus>(node["status"], static_cast<int>(kPointStatusWords.size()));
  point.reason = node["reason"].text();
  point.seconds = optional_real(node, "seconds");
  point.estimated_bytes =
      optional_part(node, "estimated_bytes", [](const Node& bytes) { return bytes.integer(); });
  point.figures = read_figures(node["figures"]);
  return point;
}

}  // namespace

std::string to_json(const SweepReport& report) {
  Json object = header_json(report.header, kSweepKind);
  object["command"] = report.command;
  object["about"] = report.about;
  object["paper"] = report.paper;
  object["axes"] = axes_json(report.axes);
  Json points = Json::array();
  for (const SweepPoint& point : report.points) points.push_back(point_json(report, point));
  object["points"] = std::move(points);
  object["summary"] = summary_json(summary_of(report));
  return document(object);
}

SweepReport read_sweep(const Node& document) {
  SweepReport report;
  report.header = read_header(document);
  report.command = document["command"].text();
  report.about = document["about"].text();
  if (document.has("paper")) report.paper = document["paper"].text();  // earlier sweeps lack it
  report.axes = read_axes(document["axes"]);
  std::set<std::string> ids;
  std::set<std::vector<std::optional<std::string>>> values;
  for (const Node& node : document["points"].elements()) {
    report.points.push_back(read_point(node, report.axes));
    if (!values.insert(report.points.back().values).second) {
      node["axes"].fail("has the values of another point");
    }
    if (!ids.insert(report.points.back().id).second) {
      node["id"].fail(concat("is '", report.points.back().id, "', which another point has"));
    }
  }
  return report;
}

}  // namespace sbp::reports
