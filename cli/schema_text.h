// Names that can stand in a spec, as text for --list.
#pragma once

#include <span>
#include <string>

#include "sbp/base/spec.h"

namespace sbp::cli {

// Each name with its summary, below it one line a key: default, what values it takes, help.
std::string schemas_text(std::span<const SpecSchema> schemas);

// For schemas with the same keys, at least one: a line each, with the defaults that are not the
// same for all, and below it the keys once.
std::string schemas_of_same_keys_text(std::span<const SpecSchema> schemas);

}  // namespace sbp::cli
