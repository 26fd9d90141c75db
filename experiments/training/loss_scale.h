// The state of dynamic loss scaling; LibTorch-free.
#pragma once

#include <cstdint>

namespace sbp::experiments {

// All that a resumed run needs.
struct LossScale {
  double scale = 65536.0;       // a power of two, so that it costs no bit of a gradient
  std::int64_t good_steps = 0;  // since the scale last changed
  std::int64_t skipped_steps = 0;

  bool operator==(const LossScale&) const = default;
};

}  // namespace sbp::experiments
