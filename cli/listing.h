// --list.
#pragma once

#include <string>

namespace sbp::cli {

// What can be named for one of list_topics().
std::string listing(const std::string& topic);

}  // namespace sbp::cli
