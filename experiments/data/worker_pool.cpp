#include "experiments/data/worker_pool.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sbp::experiments {

class WorkerPool::Threads {
 public:
  explicit Threads(std::int64_t workers) {
    try {
      for (std::int64_t i = 1; i < workers; ++i) {
        threads_.emplace_back([this, i] { serve(static_cast<std::size_t>(i)); });
      }
    } catch (...) {  // the system gives no more threads
      stop();
      throw;
    }
  }
  ~Threads() { stop(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  std::size_t workers() const { return threads_.size() + 1; }

  void run(std::int64_t items, const Task& task) {
    {
      const std::lock_guard lock(mutex_);
      task_ = &task;
      items_ = items;
      next_ = 0;
      done_ = 0;
      failed_item_ = items;
    }
    changed_.notify_all();
    std::unique_lock lock(mutex_);
    work(lock, 0);
    changed_.wait(lock, [this] { return done_ == items_; });
    task_ = nullptr;
    if (const std::exception_ptr failure = std::exchange(failure_, nullptr)) {
      std::rethrow_exception(failure);
    }
  }

 private:
  void serve(std::size_t worker) {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (task_ != nullptr && next_ < items_) {
        work(lock, worker);
      } else {
        changed_.wait(lock);
      }
    }
  }

  // Does items until none is left; `lock` is held before and after.
  void work(std::unique_lock<std::mutex>& lock, std::size_t worker) {
    while (next_ < items_) {
      const std::int64_t item = next_++;
      std::exception_ptr failure;
      lock.unlock();
      try {
        (*task_)(item, worker);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure && item < failed_item_) {
        failed_item_ = item;
        failure_ = failure;
      }
      if (++done_ == items_) changed_.notify_all();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const Task* task_ = nullptr;
  std::int64_t items_ = 0;
  std::int64_t next_ = 0;
  std::int64_t done_ = 0;
  std::int64_t failed_item_ = 0;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

WorkerPool::WorkerPool(std::int64_t workers) : threads_(std::make_unique<Threads>(workers)) {}

WorkerPool::~WorkerPool() = default;

std::size_t WorkerPool::workers() const {
  return threads_->workers();
}

void WorkerPool::run(std::int64_t items, const Task& task) {
  threads_->run(items, task);
}

}  // namespace sbp::experiments
