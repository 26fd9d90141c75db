// What a strategy text is refused with.
#pragma once

#include <doctest/doctest.h>

#include <span>
#include <string>

#include "sbp/base/error.h"
#include "sbp/plan.h"

namespace sbp::tests {

// The sentence, of exit code 2; empty where it is not refused.
inline std::string usage_error(const std::string& strategy, const SiteTable& sites,
                               std::span<const Strategy> registered) {
  try {
    resolve(strategy, sites, registered);
  } catch (const UsageError& error) {
    CHECK(error.code() == ExitCode::usage);
    return error.what();
  }
  return "";
}

}  // namespace sbp::tests
