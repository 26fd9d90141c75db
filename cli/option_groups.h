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
void add_output_options(Parser& parser, OutputOptions& output);
void add_list_option(Parser& parser, std::string& list);

// As it goes into the report.
std::vector<std::string> command_line(const std::string& program,
                                      const std::vector<std::string>& arguments);

}  // namespace sbp::cli
