// A sweep as text: what was finished, and what was not and why.
#include <array>

#include "reports/format.h"
#include "reports/sections.h"
#include "reports/sweep_points.h"
#include "reports/table.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

std::string axes_text(const std::vector<SweepAxis>& axes) {
  std::vector<std::string> parts;
  for (const SweepAxis& axis : axes) {
    parts.push_back(concat(axis.name, " (", axis.values.size(), ")"));
  }
  return parts.empty() ? "none" : join(parts);
}

std::string unfinished_text(const SweepReport& report, bool color) {
  std::vector<Table::Column> columns = {{"point"}};
  for (const SweepAxis& axis : report.axes) columns.push_back({axis.name});
  columns.insert(columns.end(), {{"status"}, {"why"}});
  Table table(std::move(columns));
  for (const SweepPoint& point : report.points) {
    if (point.status == PointStatus::finished || point.status == PointStatus::not_run) continue;
    std::vector<std::string> cells = {point.id};
    for (const auto& value : point.values) cells.push_back(value.value_or("-"));
    cells.insert(cells.end(), {spaced(to_string(point.status)), point.reason});
    table.add(std::move(cells));
  }
  return table.rows() == 0 ? "" : "\n" + heading("not finished", color) + table.text();
}

}  // namespace

std::string point_counts_text(const SweepReport& report) {
  std::array<std::int64_t, kPointStatusWords.size()> counts{};
  for (const SweepPoint& point : report.points) ++counts.at(static_cast<std::size_t>(point.status));
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    // How many finished is always said.
    if (counts[i] == 0 && i != 0) continue;
    parts.push_back(count_text(counts[i]) + " " + spaced(kPointStatusWords[i]));
  }
  return join(parts);
}

Facts sweep_facts(const SweepReport& report) {
  Facts facts = {{"command", "sbp-" + report.command}};
  if (!report.about.empty()) facts.emplace_back("about", report.about);
  if (!report.paper.empty()) facts.emplace_back("paper", report.paper);
  facts.emplace_back("axes", axes_text(report.axes));
  facts.emplace_back(
      "points", concat(count_text(std::ssize(report.points)), ": ", point_counts_text(report)));
  return facts;
}

std::string to_text(const SweepReport& report, const TextOptions& options) {
  return heading("sweep", options.color) + facts_text(sweep_facts(report)) +
         unfinished_text(report, options.color) + warnings_text(report.header, options.color);
}

}  // namespace sbp::reports
