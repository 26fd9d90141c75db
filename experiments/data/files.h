// Whole files as bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sbp::experiments {

// All bytes of a regular file. Throws Error that says that `what` could not be read from `path`,
// and why.
std::vector<std::byte> read_file(const std::string& path, std::string_view what);

}  // namespace sbp::experiments
