#include "experiments/sweep/plan_text.h"

#include <algorithm>

#include "reports/format.h"
#include "reports/sweep_points.h"
#include "reports/table.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

using reports::Table;

std::string state_of(const FolderContent& content, const std::string& id) {
  if (content.finished.contains(id)) return "finished";
  const auto failure = content.failures.find(id);
  if (failure == content.failures.end()) return "to run";
  std::string status(to_string(failure->second.status));
  std::ranges::replace(status, '_', ' ');
  return status;
}

// "about 3 min 20 s with 2 at a time".
std::string time_text(const Sweep& sweep, double seconds) {
  std::string text = "about " + reports::seconds_text(seconds / static_cast<double>(sweep.jobs));
  if (sweep.jobs > 1) text += concat(" with ", sweep.jobs, " at a time");
  return text;
}

std::string totals_text(const Sweep& sweep, const FolderContent& content,
                        const std::vector<std::optional<double>>& seconds) {
  std::int64_t left = 0;
  std::int64_t failed = 0;
  double seconds_left = 0.0;
  bool all_known = !seconds.empty();
  for (std::size_t i = 0; i < sweep.plan.points.size(); ++i) {
    const std::string& id = sweep.plan.points[i].id;
    if (content.finished.contains(id)) continue;
    if (content.failures.contains(id) && !sweep.retry_failed) {
      ++failed;
      continue;
    }
    ++left;
    if (!seconds.empty() && seconds[i]) seconds_left += *seconds[i];
    all_known = all_known && seconds[i].has_value();
  }
  std::string text =
      concat(reports::count_text(std::ssize(sweep.plan.points)),
             " points: ", reports::count_text(std::ssize(content.finished)), " finished, ");
  if (failed > 0) {
    text += concat(reports::count_text(failed), " not finished (--retry-failed runs them again), ");
  }
  text += concat(reports::count_text(left), " to run");
  if (left > 0 && all_known) text += ", " + time_text(sweep, seconds_left);
  return text + "\n";
}

}  // namespace

std::string plan_text(const Sweep& sweep, const FolderContent& content,
                      const std::vector<std::optional<double>>& seconds) {
  std::string text = concat("sweep of sbp-", sweep.command.command, "\n");
  Table words({{""}, {""}});
  if (!sweep.about.empty()) words.add({"about", sweep.about});
  if (!sweep.paper.empty()) words.add({"paper", sweep.paper});
  text += words.text() + "\n";
  std::vector<Table::Column> columns = {{"point"}};
  for (const reports::SweepAxis& axis : sweep.plan.axes) columns.push_back({axis.name});
  const auto right = Table::Align::right;
  // Where it is an axis, a column has it already.
  const bool shows_batch =
      sweep.equal_peak || std::ranges::find(sweep.plan.axes, "batch", &reports::SweepAxis::name) ==
                              sweep.plan.axes.end();
  columns.insert(columns.end(), {{shows_batch ? "batch" : "", right},
                                 {"steps", right},
                                 {"peak", right},
                                 {"memory", right},
                                 {"time", right},
                                 {"state"}});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < sweep.plan.points.size(); ++i) {
    const PlannedPoint& point = sweep.plan.points[i];
    const PointNeeds& needs = sweep.needs[i];
    std::vector<std::string> cells = {point.id};
    for (const auto& value : point.values) cells.push_back(value.value_or("-"));
    const bool is_timed = !seconds.empty() && seconds[i].has_value();
    cells.insert(
        cells.end(),
        {shows_batch ? reports::count_text(needs.batch) : "", reports::count_text(needs.steps),
         reports::bytes_text(needs.step_peak_bytes), reports::bytes_text(needs.memory_bytes),
         is_timed ? reports::seconds_text(*seconds[i]) : (seconds.empty() ? "" : "-"),
         state_of(content, point.id)});
    table.add(std::move(cells));
  }
  return text + table.text() + "\n" + totals_text(sweep, content, seconds);
}

}  // namespace sbp::sweep
