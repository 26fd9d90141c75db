// What a training run shows in TensorBoard; LibTorch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "experiments/data/event_file.h"
#include "reports/report.h"

namespace sbp::experiments {

class ScalarLog {
 public:
  // Makes `folder` if it is absent. Throws UsageError when its parent is, Error when it cannot be
  // written.
  ScalarLog(const std::string& folder, std::optional<std::int64_t> resumed_from);

  void add_step(std::int64_t step, double loss, double learning_rate);
  void add_fidelity(const reports::FidelityPoint& point);
  void add_epoch(const reports::EpochResult& result);
  void add_memory(std::int64_t step, const reports::MemorySummary& memory);

 private:
  EventFile file_;
};

}  // namespace sbp::experiments
