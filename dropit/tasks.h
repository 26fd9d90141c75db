// How elements are split between threads. Tasks begin at a whole block, so that no two write into
// one byte of a mask or one count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "dropit/code_size.h"
#include "dropit/keep_rule.h"
#include "dropit/workers.h"

namespace sbp::dropit {

struct Task {
  std::int64_t begin = 0, end = 0;
  std::int64_t before = 0;  // elements kept before it
};

// At most `most` tasks of whole units, the last one's end apart.
inline std::vector<Task> split(std::int64_t numel, std::int64_t unit, std::int64_t most) {
  const std::int64_t units = (numel + unit - 1) / unit;
  const std::int64_t count = std::clamp<std::int64_t>(most, 1, units);
  std::vector<Task> tasks;
  for (std::int64_t i = 0; i < count; ++i) {
    tasks.push_back({units * i / count * unit, std::min(units * (i + 1) / count * unit, numel)});
  }
  return tasks;
}

// Tasks of whole groups, where what is kept before is known.
struct GroupTasks {
  GroupTasks(const Groups& groups, std::int64_t threads) {
    const std::int64_t size = groups.end(0);
    const std::int64_t unit = std::lcm(size, kBlock);
    tasks = split(groups.numel(), unit, 4 * threads);
    for (Task& task : tasks) {
      first_groups.push_back(task.begin / size);
      task.before = groups.kept_before(first_groups.back());
    }
  }
  std::vector<Task> tasks;
  std::vector<std::int64_t> first_groups;
};

// Calls use(first, count) for each 64 elements, the last ones fewer.
template <typename Use>
void for_each_word(const Task& task, Use use) {
  std::int64_t first = task.begin;
  for (; first + 64 <= task.end; first += 64) use(first, 64);
  if (first < task.end) use(first, static_cast<int>(task.end - first));
}

// Fills in what is kept before each task; gives what is kept in all.
template <typename Count>
std::int64_t count_before(std::vector<Task>& tasks, const Workers& workers, Count count) {
  std::vector<std::int64_t> counts(tasks.size());
  workers.run(std::ssize(tasks), [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    counts[index] = count(tasks[index]);
  });
  std::int64_t before = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].before = before;
    before += counts[i];
  }
  return before;
}

}  // namespace sbp::dropit
