#include "reports/html_data.h"

#include <algorithm>
#include <cstddef>
#include <map>

#include "reports/json_words.h"

namespace sbp::reports {
namespace {

// A list shorter than this stays as it is.
constexpr std::size_t kColumnsFrom = 8;

using Path = std::vector<std::string>;

struct Column {
  Path path;
  std::vector<std::size_t> rows;
  std::vector<Json> values;
};

// The columns of a table, in the order in which their keys first appear.
class Columns {
 public:
  void add_row(const Json& object) {
    add(object, {});
    ++row_count_;
  }

  Json json() const {
    Json columns = Json::array();
    for (const Column& column : columns_) columns.push_back(column_json(column));
    Json table = Json::object();
    table["~rows"] = row_count_;
    table["columns"] = std::move(columns);
    return table;
  }

 private:
  void add(const Json& object, const Path& above) {
    for (const auto& item : object.items()) {
      Path path = above;
      path.push_back(item.key());
      // An empty object has no leaf that a column could hold.
      if (item.value().is_object() && !item.value().empty()) {
        add(item.value(), path);
      } else {
        Column& column = column_of(path);
        column.rows.push_back(row_count_);
        column.values.push_back(compacted(item.value()));
      }
    }
  }

  Column& column_of(const Path& path) {
    const auto [found, added] = places_.try_emplace(path, columns_.size());
    if (added) columns_.push_back({path, {}, {}});
    return columns_[found->second];
  }

  Json column_json(const Column& column) const {
    Json json = Json::object();
    json["key"] = column.path.size() == 1 ? Json(column.path.front()) : Json(column.path);
    if (column.rows.size() != row_count_) json["at"] = column.rows;
    set_values(json, column.values);
    return json;
  }

  // Texts that come again and again are written once.
  static void set_values(Json& json, const std::vector<Json>& values) {
    std::map<std::string, std::size_t> places;
    Json words = Json::array();
    Json indices = Json::array();
    for (const Json& value : values) {
      if (!value.is_string()) break;
      const auto [found, added] = places.try_emplace(value.get<std::string>(), words.size());
      if (added) words.push_back(value);
      indices.push_back(found->second);
    }
    if (indices.size() == values.size() && words.size() * 2 <= values.size()) {
      json["words"] = std::move(words);
      json["values"] = std::move(indices);
    } else {
      json["values"] = values;
    }
  }

  std::vector<Column> columns_;
  std::map<Path, std::size_t> places_;
  std::size_t row_count_ = 0;
};

bool is_table(const Json& value) {
  return value.is_array() && value.size() >= kColumnsFrom &&
         std::ranges::all_of(value, [](const Json& row) { return row.is_object(); });
}

// Plain sites are counted and not listed.
void leave_out_plain_sites(Json& report) {
  Json decided = Json::array();
  for (const Json& site : report["plan"]) {
    if (site["claimed_by"] != "") decided.push_back(site);
  }
  report["plan_sites"] = report["plan"].size();
  report["plan"] = std::move(decided);
}

// So many points of a loss curve tell as much as any more do.
constexpr std::size_t kLossPoints = 4000;

// Means of as many steps each as make the curve short enough; null where one was not finite. The
// last may stand for fewer.
Json loss_curve(const Json& losses) {
  const std::size_t every =
      std::max<std::size_t>(1, (losses.size() + kLossPoints - 1) / kLossPoints);
  Json values = Json::array();
  for (std::size_t from = 0; from < losses.size(); from += every) {
    const std::size_t to = std::min(losses.size(), from + every);
    double sum = 0.0;
    bool finite = true;
    for (std::size_t i = from; i < to; ++i) {
      finite = finite && losses[i].is_number();
      if (finite) sum += losses[i].get<double>();
    }
    values.push_back(finite ? Json(sum / static_cast<double>(to - from)) : Json(nullptr));
  }
  Json curve = Json::object();
  curve["every"] = every;
  curve["values"] = std::move(values);
  return curve;
}

// A point's file follows from its id.
void leave_out_of_points(Json& points) {
  for (Json& point : points) point.erase("file");
}

// Of a summary the page draws means and intervals; by name, so that they become columns.
void leave_out_of_groups(Json& groups) {
  for (Json& group : groups) {
    group.erase("differences");
    Json figures = Json::object();
    for (Json& figure : group["figures"]) {
      for (const char* key : {"standard_deviation", "standard_deviation_reason"}) figure.erase(key);
      const std::string name = figure["name"].get<std::string>();
      figure.erase("name");
      figures[name] = std::move(figure);
    }
    group["figures"] = std::move(figures);
  }
}

void leave_out(Json& report) {
  report.erase("schema");
  if (report.contains("plan")) leave_out_plain_sites(report);
  if (report.contains("memory") && report["memory"].is_object()) {
    report["memory"].erase("cells_at_peak");
  }
  if (report.contains("prediction")) report["prediction"].erase("blocks");
  if (report.contains("device_memory") && report["device_memory"].is_object()) {
    report["device_memory"].erase("blocks");
  }
  if (report.contains("points")) leave_out_of_points(report["points"]);
  if (report.contains("summary")) leave_out_of_groups(report["summary"]["groups"]);
  if (report.contains("step_losses")) {
    report["loss_curve"] = loss_curve(report["step_losses"]);
    report.erase("step_losses");
  }
  if (report.contains("fidelity") && report["fidelity"].is_object()) {
    for (Json& strategy : report["fidelity"]["strategies"]) strategy.erase("parameters");
  }
}

}  // namespace

Json compacted(const Json& value) {
  if (is_table(value)) {
    Columns columns;
    for (const Json& row : value) columns.add_row(row);
    return columns.json();
  }
  if (value.is_array()) {
    Json array = Json::array();
    for (const Json& element : value) array.push_back(compacted(element));
    return array;
  }
  if (value.is_object()) {
    Json object = Json::object();
    for (const auto& item : value.items()) object[item.key()] = compacted(item.value());
    return object;
  }
  return value;
}

Json page_data(const AnyReport& report) {
  Json json = std::visit([](const auto& any) { return Json::parse(to_json(any)); }, report);
  leave_out(json);
  return compacted(json);
}

}  // namespace sbp::reports
