// Resolved specs, short enough for a table.
#pragma once

#include <string>
#include <vector>

namespace sbp::reports {

// Each spec with those keys alone in which specs of the same names differ: of
// "sbp:keep=0.5,mask=grid", "sbp:keep=0.25,mask=grid" and "full:a=1" it leaves "sbp:keep=0.5",
// "sbp:keep=0.25" and "full". Equal specs stay equal, different ones different.
std::vector<std::string> short_specs(const std::vector<std::string>& specs);

}  // namespace sbp::reports
