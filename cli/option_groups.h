// Options that several commands share.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/parser.h"

namespace sbp::cli {

inline constexpr IntegerRange kCount = {0, 1'000'000'000};
inline constexpr IntegerRange kPositive = {1, 1'000'000'000};

enum class OneStrategy { yes, no };  // no: the command has an option of its own
// Model, data, optimizer, device and the like.
void add_run_options(Parser& parser, experiments::RunOptions& run,
                     OneStrategy strategy = OneStrategy::yes);
// How training images are prepared.
void add_image_options(Parser& parser, experiments::RunOptions& run);

// What parse_train and parse_profile read before they make their options of it.
struct TrainTargets {
  experiments::TrainOptions run;
  bool no_profile_step = false;
};
struct ProfileTargets {
  experiments::ProfileOptions run;
  std::string zero_grad = "start";
  std::string loop = "python";
};
struct CorrelateTargets {
  experiments::CorrelateOptions run;
  bool no_local = false;
};
// Everything that makes a run of the command; not weights and checkpoints, nor where results go.
void add_train_run_options(Parser& parser, TrainTargets& targets);
void add_profile_run_options(Parser& parser, ProfileTargets& targets);
// `strategy`: yes where one is compared alone, no where --strategy may be given many times.
void add_correlate_run_options(Parser& parser, CorrelateTargets& targets, OneStrategy strategy);
void add_init_option(Parser& parser, experiments::TrainOptions& run);

void add_output_options(Parser& parser, OutputOptions& output);
void add_list_option(Parser& parser, std::string& list);

// As it goes into the report.
std::vector<std::string> command_line(const std::string& program,
                                      const std::vector<std::string>& arguments);

}  // namespace sbp::cli
