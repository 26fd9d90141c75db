// A command with made-up options, an engine that runs nothing, and what they need of each other.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/sweep/engine.h"
#include "experiments/sweep/plan.h"
#include "experiments/sweep/swept_command.h"

namespace sbp::tests {

// sbp-train with --strategy (full, sbp:keep=,mask=, dropit:gamma=), --batch, --seed and --flip.
const sweep::CommandOptions& fake_command();

// The report of a training run by these words, as the command would write it.
std::string fake_report(const std::vector<std::string>& words, double loss = 1.0);

// Ends tasks in the order they were started, as told, writing reports where they finish.
class FakeEngine : public sweep::Engine {
 public:
  // How a point ends; by default with exit code 0 after its report was written.
  std::function<sweep::Ended(const sweep::Task&)> ending;
  // Called when a task starts.
  std::function<void(const sweep::Task&)> started;
  std::vector<std::string> order;  // ids, as they were started
  std::int64_t most_running = 0;
  std::int64_t most_memory = 0;  // that what ran at a time needed

  void start(const sweep::Task& task) override;
  std::int64_t running() const override { return static_cast<std::int64_t>(running_.size()); }
  std::vector<sweep::Ended> wait(std::chrono::milliseconds longest) override;
  std::vector<sweep::Ended> stop() override;
  bool stopped = false;

 private:
  std::deque<sweep::Task> running_;
};

// Exit code 0, with the report at the task's --output.
sweep::Ended finish(const sweep::Task& task, double loss = 1.0);

// `step_peak` is a function of the words' strategy and batch.
class FakeSwept : public sweep::SweptCommand {
 public:
  // Bytes an image, by strategy.
  std::map<std::string, std::int64_t> bytes_per_image;
  std::int64_t fixed_bytes = 1000;
  // Of these batches the peak is larger than their tensors by so much.
  std::map<std::int64_t, std::int64_t> rest_bytes;
  std::int64_t dry_runs = 0;

  sweep::PointNeeds needs(const std::vector<std::string>& words) override;
  std::int64_t batch(const std::vector<std::string>& words) override;
  sweep::StepPeak step_peak(const std::vector<std::string>& words) override;
  std::optional<double> seconds(const std::vector<std::string>& words,
                                std::int64_t threads) override;
};

}  // namespace sbp::tests
