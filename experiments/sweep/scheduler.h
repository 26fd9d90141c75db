// Many points at a time, never more than memory holds. LibTorch-free.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "experiments/sweep/engine.h"

namespace sbp::sweep {

struct ScheduleHooks {
  // Bytes that points may take together; asked while none runs. Nothing: no limit is known.
  std::function<std::optional<std::int64_t>()> available_memory;
  std::function<bool()> interrupted;
  // A point ended. Not called for one that was stopped before its end.
  std::function<void(const Ended&)> ended;
  // A point needs more than `available` by itself; it is not run.
  std::function<void(const Task&, std::int64_t available)> too_large;
  // A few times a second.
  std::function<void()> tick;
};

// Runs `tasks`, at most `jobs` at a time, in their order as far as memory allows: the first one
// that fits is next. Where a point was seen to take more than its estimate, the estimates of all
// count as much more from then on. False when it was interrupted. Whatever a hook or the engine
// throws stops what runs and is thrown on.
bool run_tasks(std::vector<Task> tasks, std::int64_t jobs, Engine& engine,
               const ScheduleHooks& hooks);

}  // namespace sbp::sweep
