// Names that can stand in a spec, as text for --list.
#pragma once

#include <span>
#include <string>

#include "sbp/base/spec.h"

namespace sbp::cli {

// Each name with its summary, below it one line a key: default, what values it takes, help.
std::string schemas_text(std::span<const SpecSchema> schemas);

}  // namespace sbp::cli
