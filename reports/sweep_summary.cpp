#include "reports/sweep_summary.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "reports/student.h"
#include "reports/sweep_points.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Values = std::vector<std::optional<std::string>>;

// A group while it is being made.
struct Members {
  Values values;
  std::vector<const SweepPoint*> points;
};

std::optional<std::size_t> axis_named(const std::vector<std::string>& axes,
                                      const std::string& name) {
  const auto found = std::ranges::find(axes, name);
  if (found == axes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - axes.begin());
}

std::optional<std::size_t> seed_axis_of(const SweepReport& sweep) {
  for (std::size_t i = 0; i < sweep.axes.size(); ++i) {
    if (sweep.axes[i].name == kSeedAxis) return i;
  }
  return std::nullopt;
}

// What points of one group share; the seed is told by its own name.
std::optional<std::string> seed_of(const SweepPoint& point, std::optional<std::size_t> axis) {
  return axis ? point.values.at(*axis) : std::nullopt;
}

std::vector<Members> members_of(const SweepReport& sweep) {
  const std::optional<std::size_t> seed = seed_axis_of(sweep);
  std::vector<Members> all;
  std::map<Values, std::size_t> places;
  std::map<Values, std::string> seen;
  for (const SweepPoint& point : sweep.points) {
    const auto [same, is_new] = seen.emplace(point.values, point.id);
    if (!is_new) {
      throw Error(concat("cannot summarise the sweep: its points '", same->second, "' and '",
                         point.id, "' have the same values of all axes"));
    }
    Values values = point.values;
    if (seed) values.erase(values.begin() + static_cast<std::ptrdiff_t>(*seed));
    const auto [place, is_first] = places.emplace(values, all.size());
    if (is_first) all.push_back({.values = std::move(values), .points = {}});
    all[place->second].points.push_back(&point);
  }
  return all;
}

// The figures of a finished point that it has, in order.
std::vector<std::pair<std::string, double>> known_figures(const SweepPoint& point) {
  std::vector<std::pair<std::string, double>> known;
  if (point.status != PointStatus::finished) return known;
  each_figure(point.figures, [&](const char* name, const auto& value) {
    if (value) known.emplace_back(name, static_cast<double>(*value));
  });
  return known;
}

// Figures in the order of the struct.
const std::vector<std::string>& figure_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    PointFigures figures;
    each_figure(figures, [&](const char* name, const auto&) { all.emplace_back(name); });
    return all;
  }();
  return names;
}

std::vector<FigureEstimate> estimates_of(const Members& members) {
  std::map<std::string, std::vector<double>> values;
  for (const SweepPoint* point : members.points) {
    for (const auto& [name, value] : known_figures(*point)) values[name].push_back(value);
  }
  std::vector<FigureEstimate> estimates;
  for (const std::string& name : figure_names()) {
    if (values.contains(name)) estimates.push_back({name, estimate_of(values.at(name))});
  }
  return estimates;
}

SweepGroup group_of(const Members& members) {
  SweepGroup group;
  group.values = members.values;
  group.points = std::ssize(members.points);
  for (const SweepPoint* point : members.points) {
    if (point->status == PointStatus::finished) {
      ++group.finished;
    } else {
      group.unfinished.push_back(point->id);
    }
  }
  group.figures = estimates_of(members);
  return group;
}

// ---- baselines

struct Baseline {
  std::string words{};
  std::size_t axis = 0;
  std::string value{};
  bool first_group = false;
};

bool any_has(const std::vector<SweepGroup>& groups, std::size_t axis, const std::string& value) {
  return std::ranges::any_of(groups,
                             [&](const auto& group) { return group.values[axis] == value; });
}

Baseline asked_baseline(const SweepSummary& summary, const std::string& text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string::npos) {
    throw UsageError(concat("the baseline is '", text, "'; it must be AXIS=VALUE"));
  }
  const std::string name = text.substr(0, sign);
  const std::string value = text.substr(sign + 1);
  const auto axis = axis_named(summary.axes, name);
  if (!axis) throw UsageError(unknown_word("axis of the baseline", name, summary.axes));
  if (!any_has(summary.groups, *axis, value)) {
    std::vector<std::string> known;
    for (const SweepGroup& group : summary.groups) {
      const auto& its = group.values[*axis];
      if (its && std::ranges::find(known, *its) == known.end()) known.push_back(*its);
    }
    throw UsageError(unknown_word(concat("value of '", name, "'"), value, known));
  }
  return {.words = text, .axis = *axis, .value = value};
}

Baseline baseline_of(const SweepSummary& summary, const std::string& text) {
  if (!text.empty()) return asked_baseline(summary, text);
  const auto strategy = axis_named(summary.axes, "strategy");
  if (strategy && any_has(summary.groups, *strategy, "full")) {
    return {.words = "strategy=full", .axis = *strategy, .value = "full"};
  }
  return {.words = "the first group", .first_group = true};
}

// Whether two groups differ in `axis` alone, as far as axes apply to both.
bool agree(const Values& a, const Values& b, std::size_t axis) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i != axis && a[i] && b[i] && a[i] != b[i]) return false;
  }
  return true;
}

// The one group that `group` is compared with.
std::optional<std::size_t> baseline_for(const SweepSummary& summary, std::size_t number,
                                        const Baseline& baseline) {
  if (baseline.first_group) return number == 0 ? std::nullopt : std::optional<std::size_t>(0);
  const Values& values = summary.groups[number].values;
  if (values[baseline.axis] == baseline.value) return std::nullopt;
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < summary.groups.size(); ++i) {
    const Values& other = summary.groups[i].values;
    if (other[baseline.axis] != baseline.value || !agree(values, other, baseline.axis)) continue;
    if (found) return std::nullopt;  // which of the two?
    found = i;
  }
  return found;
}

std::vector<FigureDifference> differences_of(const Members& group, const Members& baseline,
                                             std::optional<std::size_t> seed) {
  using Figures = std::map<std::string, double>;
  std::map<std::optional<std::string>, Figures> theirs;
  for (const SweepPoint* point : baseline.points) {
    for (const auto& [name, value] : known_figures(*point)) {
      theirs[seed_of(*point, seed)][name] = value;
    }
  }
  std::map<std::string, std::vector<double>> differences;
  for (const SweepPoint* point : group.points) {
    const auto pair = theirs.find(seed_of(*point, seed));
    if (pair == theirs.end()) continue;
    for (const auto& [name, value] : known_figures(*point)) {
      const auto other = pair->second.find(name);
      if (other != pair->second.end()) differences[name].push_back(value - other->second);
    }
  }
  std::vector<FigureDifference> result;
  for (const std::string& name : figure_names()) {
    if (!differences.contains(name)) continue;
    const Estimate estimate = estimate_of(differences.at(name));
    FigureDifference difference{.name = name, .estimate = estimate, .resolved = std::nullopt};
    if (estimate.low) difference.resolved = *estimate.low > 0 || *estimate.high < 0;
    result.push_back(std::move(difference));
  }
  return result;
}

// ---- Pareto front

std::optional<double> mean_of(const SweepGroup& group, const std::string& name) {
  const auto found = std::ranges::find(group.figures, name, &FigureEstimate::name);
  if (found == group.figures.end() || !std::isfinite(found->estimate.mean)) return std::nullopt;
  return found->estimate.mean;
}

void mark_front(std::vector<SweepGroup>& groups, const std::string& figure,
                std::optional<bool> SweepGroup::*mark) {
  struct Place {
    double bytes;
    double quality;
    SweepGroup* group;
  };
  std::vector<Place> places;
  for (SweepGroup& group : groups) {
    const auto bytes = mean_of(group, "peak_bytes");
    const auto quality = mean_of(group, figure);
    if (bytes && quality) places.push_back({*bytes, *quality, &group});
  }
  // By bytes, the best of equal bytes first: whoever is better than all before is on the front,
  // and so is whoever equals the last that was.
  std::ranges::stable_sort(places, [](const Place& a, const Place& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.quality > b.quality;
  });
  const Place* last = nullptr;
  for (const Place& place : places) {
    const bool better = last == nullptr || place.quality > last->quality;
    const bool equal =
        last != nullptr && place.quality == last->quality && place.bytes == last->bytes;
    place.group->*mark = better || equal;
    if (better) last = &place;
  }
}

void mark_fewer_seeds(std::vector<SweepGroup>& groups) {
  std::int64_t most = 0;
  for (const SweepGroup& group : groups) most = std::max(most, group.finished);
  for (SweepGroup& group : groups) group.fewer_seeds = group.finished < most;
}

}  // namespace

Estimate estimate_of(const std::vector<double>& values) {
  Estimate estimate;
  estimate.count = std::ssize(values);
  if (values.empty()) return estimate;
  const auto count = static_cast<double>(values.size());
  double sum = 0.0;
  for (const double value : values) sum += value;
  const bool all_equal = std::ranges::adjacent_find(values, std::not_equal_to{}) == values.end();
  // Rounding would give equal values a spread.
  estimate.mean = all_equal ? values.front() : sum / count;
  if (values.size() < 2 || !std::isfinite(estimate.mean)) return estimate;
  double squares = 0.0;
  for (const double value : values) squares += (value - estimate.mean) * (value - estimate.mean);
  estimate.standard_deviation = std::sqrt(squares / (count - 1));
  const double half = student_quantile(kConfidence, estimate.count - 1) *
                      *estimate.standard_deviation / std::sqrt(count);
  estimate.low = estimate.mean - half;
  estimate.high = estimate.mean + half;
  return estimate;
}

SweepSummary summary_of(const SweepReport& sweep, const std::string& baseline) {
  const std::vector<Members> members = members_of(sweep);
  const std::optional<std::size_t> seed = seed_axis_of(sweep);
  SweepSummary summary;
  for (const SweepAxis& axis : sweep.axes) {
    if (axis.name != kSeedAxis) summary.axes.push_back(axis.name);
  }
  for (const Members& group : members) summary.groups.push_back(group_of(group));
  mark_fewer_seeds(summary.groups);
  mark_front(summary.groups, "cosine", &SweepGroup::pareto_cosine);
  mark_front(summary.groups, "top1", &SweepGroup::pareto_top1);
  const Baseline against = baseline_of(summary, baseline);
  summary.baseline = against.words;
  for (std::size_t i = 0; i < summary.groups.size(); ++i) {
    SweepGroup& group = summary.groups[i];
    group.baseline = baseline_for(summary, i, against);
    if (group.baseline) {
      group.differences = differences_of(members[i], members[*group.baseline], seed);
    }
  }
  return summary;
}

}  // namespace sbp::reports
