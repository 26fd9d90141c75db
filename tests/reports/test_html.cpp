#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "reports/html.h"
#include "reports/html_data.h"
#include "tests/reports/samples.h"

namespace sbp::tests {
namespace {

using reports::html_page;
using reports::Json;

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t from = text.find(before) + before.size();
  return text.substr(from, text.find(after, from) - from);
}

Json data_of(std::string_view page) {
  return Json::parse(between(page, "id=\"data\">", "</script>"));
}

// What the page's script does: columns become objects again.
Json expanded(const Json& value) {
  if (value.is_array()) {
    Json array = Json::array();
    for (const Json& element : value) array.push_back(expanded(element));
    return array;
  }
  if (!value.is_object()) return value;
  if (!value.contains("~rows")) {
    Json object = Json::object();
    for (const auto& item : value.items()) object[item.key()] = expanded(item.value());
    return object;
  }
  Json rows = Json::array();
  for (std::size_t i = 0; i < value["~rows"].get<std::size_t>(); ++i)
    rows.push_back(Json::object());
  for (const Json& column : value["columns"]) {
    const Json key = column["key"].is_array() ? column["key"] : Json::array({column["key"]});
    for (std::size_t i = 0; i < column["values"].size(); ++i) {
      Json* place = &rows[column.contains("at") ? column["at"][i].get<std::size_t>() : i];
      for (const Json& name : key) place = &(*place)[name.get<std::string>()];
      const Json& shown = column["values"][i];
      *place =
          column.contains("words") ? column["words"][shown.get<std::size_t>()] : expanded(shown);
    }
  }
  return rows;
}

reports::PageInput input(reports::AnyReport report, std::string name = "run.json") {
  return {.name = std::move(name), .report = std::move(report), .points = {}};
}

Json unordered(const Json& value) {
  return Json::parse(nlohmann::json::parse(value.dump()).dump());
}

// A sweep of `count` points whose bytes and cosines both grow, so that all are on the front, or
// whose cosines fall as bytes grow, so that the first alone is.
reports::SweepReport sweep_of(std::size_t count, bool all_on_front) {
  reports::SweepReport sweep = sample_sweep();
  sweep.axes = {{.name = "strategy.sbp.keep", .values = {}}};
  sweep.points.clear();
  for (std::size_t i = 0; i < count; ++i) {
    reports::SweepPoint point;
    point.id = std::to_string(1000 + i);
    point.values = {std::to_string(i)};
    point.status = reports::PointStatus::finished;
    point.figures.peak_bytes = 1000 + static_cast<std::int64_t>(i);
    const double part = static_cast<double>(i) / static_cast<double>(count);
    point.figures.cosine = all_on_front ? part : 1.0 - part;
    sweep.axes[0].values.push_back(*point.values[0]);
    sweep.points.push_back(std::move(point));
  }
  return sweep;
}

}  // namespace

TEST_SUITE("html page") {
  TEST_CASE("data are the reports' own JSON, less what is not drawn") {
    const std::string page = html_page({input(sample_profile()), input(sample_training(), "b")});
    const Json data = expanded(data_of(page));
    CHECK(data["inputs"][0]["name"] == "run.json");
    CHECK(data["inputs"][1]["name"] == "b");
    Json whole = Json::parse(to_json(sample_profile()));
    Json shown = data["inputs"][0]["report"];
    for (const char* key : {"kind", "command_line", "configuration", "environment", "warnings",
                            "model", "strategy", "time", "loss"}) {
      CAPTURE(key);
      CHECK(shown[key] == whole[key]);
    }
    whole["memory"].erase("cells_at_peak");
    CHECK(shown["memory"] == whole["memory"]);
    CHECK(shown["plan_sites"] == whole["plan"].size());
    const Json run = Json::parse(to_json(sample_training()));
    CHECK(data["inputs"][1]["report"]["epochs"] == run["epochs"]);
    CHECK(data["inputs"][1]["report"]["loss_curve"]["values"] == run["step_losses"]);
  }

  TEST_CASE("columns give back every row, also uneven and nested ones") {
    Json rows = Json::array();
    for (int i = 0; i < 20; ++i) {
      Json row = Json::object();
      row["name"] = "layer" + std::to_string(i);
      row["kind"] = i % 2 == 0 ? "linear" : "norm";
      if (i % 3 == 0) row["bytes"] = {{"activation", i}, {"gradient", nullptr}};
      if (i == 7) row["empty"] = Json::object();
      row["list"] = Json::array({i, "x"});
      rows.push_back(std::move(row));
    }
    const Json value = {{"rows", rows}, {"few", {{{"a", 1}}}}, {"text", "~rows"}};
    const Json columns = reports::compacted(value);
    CHECK(columns["few"] == value["few"]);
    CHECK(columns["rows"]["columns"][1]["words"] == Json::array({"linear", "norm"}));
    CHECK(columns.dump().size() < value.dump().size());
    CHECK(unordered(expanded(columns)) == unordered(value));
  }

  TEST_CASE("nothing of a report can end the data or become markup") {
    reports::ProfileReport report = sample_profile();
    const std::string evil = "</script><script>alert(1)</script><!--\xe2\x80\xa8\xe2\x80\xa9&\"'";
    report.memory.layers.at(0).name = evil;
    report.header.warnings = {evil};
    const std::string page = html_page({input(report, evil)});
    CHECK(count_of(page, "<script") == 2);  // the data and the page's own
    CHECK(count_of(page, "</script>") == 2);
    CHECK(count_of(page, "<!--") == 0);
    const std::string_view raw = between(page, "id=\"data\">", "</script>");
    CHECK(count_of(raw, "\xe2\x80\xa8") == 0);
    CHECK(count_of(raw, "\xe2\x80\xa9") == 0);
    const Json data = expanded(data_of(page));
    CHECK(data["inputs"][0]["name"] == evil);
    CHECK(data["inputs"][0]["report"]["memory"]["layers"][0]["name"] == evil);
    CHECK(between(page, "<title>", "</title>").find('<') == std::string_view::npos);
  }

  TEST_CASE("bytes that are not UTF-8 are replaced") {
    const std::string page = html_page({input(sample_profile(), "a\xff.json")});
    CHECK(between(page, "<title>", "</title>") == "a\xef\xbf\xbd.json");
    CHECK(data_of(page)["inputs"][0]["name"] == "a\xef\xbf\xbd.json");
  }

  TEST_CASE("the same inputs give the same page, and no place is left open") {
    const std::string page = html_page({input(sample_profile())});
    CHECK(page == html_page({input(sample_profile())}));
    for (const char* place : {"@TITLE@", "@DATA@", "@STYLE@", "@SCRIPT@", "_HASH@"}) {
      CHECK(page.find(place) == std::string::npos);
    }
    CHECK(count_of(page, "http") == count_of(page, "http-equiv") + 1);  // the name of SVG
  }

  TEST_CASE("a long loss curve is thinned to means, and one that is not finite stays seen") {
    reports::TrainReport report = sample_training();
    report.step_losses.assign(10000, 1.0);
    report.step_losses[0] = 4.0;
    report.step_losses[5] = std::numeric_limits<double>::infinity();
    const std::string page = html_page({input(report)});
    const Json data = data_of(page);
    const Json& curve = data["inputs"][0]["report"]["loss_curve"];
    CHECK(curve["every"] == 3);
    CHECK(curve["values"].size() == 3334);
    CHECK(curve["values"][0] == 2.0);
    CHECK(curve["values"][1] == nullptr);
    CHECK(curve["values"][3333] == 1.0);
  }

  TEST_CASE("of a sweep's points the fronts and fifty others are asked for") {
    std::vector<std::string> asked;
    const auto load = [&](const reports::SweepPoint& point) {
      asked.push_back(point.id);
      return std::optional<reports::AnyReport>(sample_profile());
    };
    Json page = Json::object();
    add_point_details(page, sweep_of(500, false), load);
    REQUIRE(asked.size() == 51);
    CHECK(asked[0] == "1000");  // fewest bytes and the best cosine
    CHECK(page["details"].size() == 51);
    CHECK(page["details"][0]["front"] == true);
    CHECK(page["details"][1]["front"] == false);
    CHECK(page["details"][50]["id"] == asked[50]);
    CHECK(page["details_left_out"] == 0);
    CHECK(page["details"][0]["memory"]["peak_bytes"] == sample_profile().memory.peak.bytes);

    asked.clear();
    add_point_details(page, sweep_of(80, true), load);
    CHECK(asked.size() == 80);
    CHECK(std::ranges::is_sorted(asked));
    CHECK(
        std::ranges::all_of(page["details"], [](const Json& one) { return one["front"] == true; }));
  }

  TEST_CASE("of a gradient study the page holds layers and no parameters") {
    reports::CorrelateReport study;
    study.header = sample_profile().header;
    study.strategies.resize(2);
    reports::LayerFidelity& head = study.strategies[0].layers.emplace_back();
    head.name = "head";
    head.local_cosine = 0.25;
    study.strategies[0].parameters.emplace_back().name = "head.weight";
    const std::string page = html_page({input(study)});
    const Json data = expanded(data_of(page));
    const Json& shown = data["inputs"][0]["report"]["fidelity"]["strategies"];
    CHECK(shown.size() == 2);
    CHECK(shown[0]["layers"][0]["local_cosine"] == 0.25);
    CHECK(!shown[0].contains("parameters"));

    Json sweep = Json::object();
    add_point_details(sweep, sweep_of(1, true), [&](const reports::SweepPoint&) {
      return std::optional<reports::AnyReport>(study);
    });
    REQUIRE(sweep["details"].size() == 1);
    const Json& layer = sweep["details"][0]["layers"][0];
    CHECK(layer["name"] == "head");
    CHECK(layer["local_cosine"] == 0.25);
    CHECK(layer["cosine"] == nullptr);
    CHECK(layer["cosine_reason"].is_string());
    CHECK(!layer.contains("elements"));
  }

  TEST_CASE("points without a report, or too large together, are left out") {
    Json page = Json::object();
    add_point_details(page, sweep_of(10, true), [](const reports::SweepPoint&) {
      return std::optional<reports::AnyReport>();
    });
    CHECK(page["details"].empty());

    reports::ProfileReport large = sample_profile();
    while (large.memory.layers.size() < 20000) {
      large.memory.layers.push_back(large.memory.layers.back());
      large.memory.layers.back().name += "x";
      if (large.memory.layers.back().name.size() > 40) large.memory.layers.back().name = "layer";
    }
    add_point_details(page, sweep_of(10, true), [&](const reports::SweepPoint&) {
      return std::optional<reports::AnyReport>(large);
    });
    CHECK(page["details_left_out"] == 6);
    CHECK(page["details"].size() == 4);
    CHECK(page.dump().size() < 8'000'000);
  }
}

}  // namespace sbp::tests
