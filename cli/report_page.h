// Reports and sweep folders as one HTML page (sbp-report --html).
#pragma once

#include "cli/options.h"

namespace sbp::cli {

// Reads all that is named before anything is written; the page is there whole or not at all.
// Throws Error, UsageError.
void write_page(const ReportCommand& command);

}  // namespace sbp::cli
