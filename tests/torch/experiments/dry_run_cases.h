// The runs that are compared on the CPU and on Meta: everything that is registered, at small sizes.
#pragma once

#include <string>
#include <vector>

#include "experiments/runs/run_options.h"

namespace sbp::tests {

struct DryRunCase {
  experiments::ProfileOptions options;
  // What of it is compared here: the model as it is typed, the strategy, the other settings in
  // words
  // ("fp32", "adam:loop=foreach", "accumulate 3").
  std::string model, strategy, setting;
};

// Every small model in `models` (all that are registered where it is empty) under every strategy
// and precision; its variants under the main strategies; some models under every other setting.
std::vector<DryRunCase> all_cases(const std::vector<std::string>& models = {});

// Some tenth of them: every strategy, every setting and every model that is not large at least
// once.
std::vector<DryRunCase> some_cases();

}  // namespace sbp::tests
