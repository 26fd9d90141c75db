// What sbp-sweep must know of the commands that points run.
#pragma once

#include <memory>
#include <string>

#include "experiments/sweep/plan.h"
#include "experiments/sweep/swept_command.h"

namespace sbp::cli {

// The options of `command` whose values are specs.
std::vector<sweep::SpecOption> spec_options(const std::string& command);

// `command`: "train", "profile" or "correlate".
std::unique_ptr<sweep::SweptCommand> swept_command(const std::string& command);

}  // namespace sbp::cli
