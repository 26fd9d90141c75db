// From axes to points: a pure function. LibTorch-free.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "experiments/sweep/recipe.h"
#include "reports/report.h"
#include "sbp/base/spec.h"

namespace sbp::sweep {

// An option whose value is a spec, or several joined by +.
struct SpecOption {
  std::string name;
  std::string default_value;  // empty: none
  std::span<const SpecSchema> schemas;
};

// What the swept command takes.
struct CommandOptions {
  std::string command;             // "train", "profile" or "correlate"
  std::vector<std::string> names;  // of all options, without dashes
  std::set<std::string> flags;     // of those that take no value
  std::vector<SpecOption> specs;
};

struct PlanRequest {
  std::vector<Setting> base;
  std::vector<reports::SweepAxis> axes;
  std::vector<std::vector<Setting>> exclude;
};

struct PlannedPoint {
  std::string id;  // of the command and the options
  // One value an axis; absent where the axis names nothing of the point.
  std::vector<std::optional<std::string>> values;
  std::vector<Setting> options;  // by name
};

struct Plan {
  std::vector<reports::SweepAxis> axes;
  std::vector<PlannedPoint> points;  // the last axis changes first
  std::vector<std::string> warnings;
};

// The product of the axes. An axis is an option (`strategy`, `seed`) or a key of a spec in one
// (`strategy.sbp.keep`: of each spec called sbp in the strategy). Where a point has no such spec
// the axis does not apply, and points that differ in nothing else are one. Throws UsageError: an
// unknown option, spec or key; an axis that applies to no point, is empty, has an empty value or
// one twice; two points of other values that are one command.
Plan make_plan(const CommandOptions& command, const PlanRequest& request);

// 16 hexadecimal digits; the same for the same command and options on any machine.
std::string point_id(const std::string& command, const std::vector<Setting>& options);

// After the options of points changed: gives them their ids anew. Throws UsageError where two
// points are one command.
void identify(const CommandOptions& command, Plan& plan);

// The options as words of a command line.
std::vector<std::string> words_of(const CommandOptions& command,
                                  const std::vector<Setting>& options);

// "strategy=sbp:keep=0.5, seed=1".
std::string point_text(const Plan& plan, const PlannedPoint& point);

// The value of an option, or its default; nothing where it has none.
std::optional<std::string> option_of(const CommandOptions& command,
                                     const std::vector<Setting>& options, const std::string& name);
void set_option(std::vector<Setting>& options, const std::string& name, const std::string& value);

}  // namespace sbp::sweep
