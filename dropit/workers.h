// Work in parts, for as many threads as there are.
#pragma once

#include <cstdint>
#include <functional>

namespace sbp::dropit {

struct Workers {
  std::int64_t threads = 1;
  // Runs task(0) to task(count - 1), in any order, maybe at the same time.
  std::function<void(std::int64_t count, const std::function<void(std::int64_t)>& task)> run =
      [](std::int64_t count, const std::function<void(std::int64_t)>& task) {
        for (std::int64_t i = 0; i < count; ++i) task(i);
      };
};

}  // namespace sbp::dropit
