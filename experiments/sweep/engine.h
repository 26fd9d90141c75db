// What runs the processes of points: this machine, or later a cluster. LibTorch-free.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sbp::sweep {

struct Task {
  std::string id;                            // of the point
  std::vector<std::string> command;          // the program's path, then its words
  std::optional<std::int64_t> memory_bytes;  // that it needs, where that is known
};

// How a process ended.
struct Ended {
  std::string id;
  std::optional<int> exit_code;  // absent: a signal ended it
  int signal = 0;
  double seconds = 0.0;
  std::int64_t peak_resident_bytes = 0;  // 0: not known
  std::string last_words;                // the end of its standard error
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Starts a process that dies with this one. Throws Error when it cannot be started.
  virtual void start(const Task& task) = 0;
  virtual std::int64_t running() const = 0;
  // Those that ended since the last call; waits this long for a first one.
  virtual std::vector<Ended> wait(std::chrono::milliseconds longest) = 0;
  // Asks all to end, and after a few seconds ends them. How each ended: some may have finished.
  virtual std::vector<Ended> stop() = 0;
};

}  // namespace sbp::sweep
