// What every command's main does around its own work.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sbp/base/error.h"

namespace sbp::cli {

// LibTorch's OpenMP threads spin for milliseconds while they wait for each other. Beside other work
// on the machine they then wait for a processor that a spinning thread holds, and a step has been
// seen to take ten times as long. The runtime reads how long to spin when it is loaded, so the
// program starts itself once more, with that set; a setting of the user's own is left alone.
// Returns where that cannot be done.
void wait_without_spinning(char** argv);

// Runs `body` with the arguments after the program's name and gives the exit status. An exception
// becomes one line on standard error, "NAME: sentence", and its exit code (1 where it has none).
// A closed pipe becomes an error of the write instead of a signal.
int run_command(const std::string& name, int argc, char** argv,
                const std::function<ExitCode(const std::vector<std::string>&)>& body);

}  // namespace sbp::cli
