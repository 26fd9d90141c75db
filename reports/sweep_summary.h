// A sweep in short: its points grouped over seeds, with intervals, differences and the Pareto
// front.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/report.h"

namespace sbp::reports {

// The axis that points of one group differ in.
inline constexpr const char* kSeedAxis = "seed";
// Share of repetitions whose interval holds the true mean.
inline constexpr double kConfidence = 0.95;

// The mean of some values, and how sure it is. With one value there is no spread.
struct Estimate {
  std::int64_t count = 0;
  double mean = 0.0;                         // not finite where one of them is not
  std::optional<double> standard_deviation;  // of one value
  std::optional<double> low;                 // of the mean, by Student's t
  std::optional<double> high;

  bool operator==(const Estimate&) const = default;
};

struct FigureEstimate {
  std::string name;  // of PointFigures
  Estimate estimate;

  bool operator==(const FigureEstimate&) const = default;
};

// This group's figure less the baseline's, taken seed by seed.
struct FigureDifference {
  std::string name;
  Estimate estimate;
  std::optional<bool> resolved;  // the interval leaves 0 out; absent with one pair

  bool operator==(const FigureDifference&) const = default;
};

// Points that differ in their seed alone.
struct SweepGroup {
  std::vector<std::optional<std::string>> values;  // by SweepSummary::axes
  std::int64_t points = 0;
  std::int64_t finished = 0;
  std::vector<std::string> unfinished;        // ids; they are in no figure
  bool fewer_seeds = false;                   // finished than those of the largest group
  std::vector<FigureEstimate> figures;        // over finished points, those that any of them has
  std::optional<std::size_t> baseline;        // number of the group that differences are against
  std::vector<FigureDifference> differences;  // figures that both have for one seed at least
  // No other group is at least as good in both, by their means, and better in one of them. Absent:
  // this group has no such figure.
  std::optional<bool> pareto_cosine;
  std::optional<bool> pareto_top1;

  bool operator==(const SweepGroup&) const = default;
};

struct SweepSummary {
  std::vector<std::string> axes;  // without the seed
  std::string baseline;  // what groups are compared with: "strategy=full", "the first group"
  std::vector<SweepGroup> groups;  // by their first point

  bool operator==(const SweepSummary&) const = default;
};

// `baseline`: "AXIS=VALUE", and a group is compared with the one that has this value and agrees
// with it in the other axes (an axis that does not apply to either agrees). Empty: strategy=full
// where there is one, else the first group. Throws UsageError where the sweep has no such axis or
// value, Error where two points have the same values.
SweepSummary summary_of(const SweepReport& sweep, const std::string& baseline = {});

// Mean, spread and interval of some values; all zero of none.
Estimate estimate_of(const std::vector<double>& values);

}  // namespace sbp::reports
