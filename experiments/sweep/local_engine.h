// Points as processes of this machine.
#pragma once

#include <map>

#include "experiments/sweep/engine.h"
#include "sbp/base/descriptor.h"

namespace sbp::sweep {

// One at a time, and used on one thread: the kernel ends the processes when the thread that started
// them ends.
class LocalEngine : public Engine {
 public:
  // `patience`: between asking processes to end and ending them.
  explicit LocalEngine(std::chrono::milliseconds patience = std::chrono::seconds(5))
      : patience_(patience) {}
  // Ends what runs.
  ~LocalEngine() override;
  LocalEngine(const LocalEngine&) = delete;
  LocalEngine& operator=(const LocalEngine&) = delete;

  void start(const Task& task) override;
  std::int64_t running() const override { return static_cast<std::int64_t>(running_.size()); }
  std::vector<Ended> wait(std::chrono::milliseconds longest) override;
  std::vector<Ended> stop() override;

 private:
  struct Process {
    int pid = 0;
    Descriptor errors{-1};  // what it writes to standard error, in memory
    std::chrono::steady_clock::time_point start;
  };

  std::vector<Ended> collect();
  void signal_all(int signal) const;

  std::chrono::milliseconds patience_;
  std::map<std::string, Process> running_;  // by id
};

}  // namespace sbp::sweep
