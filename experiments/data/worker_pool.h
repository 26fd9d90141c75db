// A few threads that share the items of a task.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace sbp::experiments {

class WorkerPool {
 public:
  // `workers` of them, at least 1; the one that calls run() is one.
  explicit WorkerPool(std::int64_t workers);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  std::size_t workers() const;

  // Calls `task(item, worker)` for each item in [0, items), worker in [0, workers()), and returns
  // when all are done. Of those that throw, the exception of the first item comes out; every other
  // item is still done. From one thread at a time.
  using Task = std::function<void(std::int64_t item, std::size_t worker)>;
  void run(std::int64_t items, const Task& task);

 private:
  class Threads;
  std::unique_ptr<Threads> threads_;
};

}  // namespace sbp::experiments
