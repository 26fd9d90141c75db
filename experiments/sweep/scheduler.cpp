#include "experiments/sweep/scheduler.h"

#include <algorithm>
#include <map>

namespace sbp::sweep {
namespace {

constexpr std::chrono::milliseconds kBetweenTicks{200};

class Schedule {
 public:
  Schedule(std::vector<Task> tasks, std::int64_t jobs, Engine& engine, const ScheduleHooks& hooks)
      : waiting_(std::move(tasks)), jobs_(jobs), engine_(engine), hooks_(hooks) {}

  bool run() {
    try {
      while (true) {
        if (hooks_.interrupted()) return stop();
        start_what_fits();
        if (engine_.running() == 0) return true;
        finish_all(engine_.wait(kBetweenTicks));
        hooks_.tick();
      }
    } catch (...) {
      keep_finished(engine_.stop());
      throw;
    }
  }

 private:
  // What has finished is kept, whatever is thrown about one of them.
  void finish_all(const std::vector<Ended>& all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      try {
        finish(all[i]);
      } catch (...) {
        keep_finished({all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end()});
        throw;
      }
    }
  }

  void keep_finished(const std::vector<Ended>& all) {
    for (const Ended& end : all) {
      if (end.exit_code != 0) continue;
      try {
        hooks_.ended(end);
      } catch (const std::exception&) {  // the first one is told
      }
    }
  }

  bool stop() {
    for (const Ended& end : engine_.stop()) {
      // What had ended by itself counts.
      if (end.exit_code == 0) hooks_.ended(end);
    }
    return false;
  }

  void start_what_fits() {
    while (!waiting_.empty() && engine_.running() < jobs_) {
      if (engine_.running() == 0) {
        available_ = hooks_.available_memory();
        drop_too_large();
      }
      const auto next =
          std::ranges::find_if(waiting_, [&](const Task& task) { return fits(task); });
      if (next == waiting_.end()) return;
      engine_.start(*next);
      taken_[next->id] = next->memory_bytes.value_or(0);
      waiting_.erase(next);
    }
  }

  // Nothing else runs and it does not fit: it never will.
  void drop_too_large() {
    if (!available_) return;
    for (const Task& task : waiting_) {
      if (task.memory_bytes.value_or(0) > *available_) hooks_.too_large(task, *available_);
    }
    std::erase_if(waiting_,
                  [&](const Task& task) { return task.memory_bytes.value_or(0) > *available_; });
  }

  bool fits(const Task& task) const {
    if (!available_ || engine_.running() == 0) return true;
    std::int64_t taken = task.memory_bytes.value_or(0);
    for (const auto& running : taken_) taken += running.second;
    return static_cast<double>(taken) * stretch_ <= static_cast<double>(*available_);
  }

  // An estimate is of tensors; how much more a process takes depends on what malloc makes of them.
  void learn(const Ended& end) {
    const auto estimate = static_cast<double>(taken_.at(end.id));
    const auto resident = static_cast<double>(end.peak_resident_bytes);
    if (estimate > 0.0) stretch_ = std::max(stretch_, resident / estimate);
  }

  void finish(const Ended& end) {
    learn(end);
    taken_.erase(end.id);
    hooks_.ended(end);
  }

  std::vector<Task> waiting_;
  std::int64_t jobs_;
  Engine& engine_;
  const ScheduleHooks& hooks_;
  std::optional<std::int64_t> available_;      // when nothing ran
  std::map<std::string, std::int64_t> taken_;  // by the id of what runs
  double stretch_ = 1.0;                       // the most that a point took of its estimate
};

}  // namespace

bool run_tasks(std::vector<Task> tasks, std::int64_t jobs, Engine& engine,
               const ScheduleHooks& hooks) {
  return Schedule(std::move(tasks), jobs, engine, hooks).run();
}

}  // namespace sbp::sweep
