// What every command's main does around its own work.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sbp/base/error.h"

namespace sbp::cli {

// Runs `body` with the arguments after the program's name and gives the exit status. An exception
// becomes one line on standard error, "NAME: sentence", and its exit code (1 where it has none).
// A closed pipe becomes an error of the write instead of a signal.
int run_command(const std::string& name, int argc, char** argv,
                const std::function<ExitCode(const std::vector<std::string>&)>& body);

}  // namespace sbp::cli
