// What LibTorch says where a step on Meta cannot go on.
#pragma once

#include <optional>
#include <string>

namespace c10 {
class Error;
}

namespace sbp::profiler {

// The operator that stopped because it needs values ("aten::nonzero"), which Meta tensors have
// none of; nothing where `error` is about something else.
std::optional<std::string> operator_that_needs_values(const c10::Error& error);

}  // namespace sbp::profiler
