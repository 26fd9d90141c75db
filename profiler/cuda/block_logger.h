// Writes an AllocatorLog while the allocator's events are replayed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "profiler/allocator_log.h"
#include "profiler/cuda/allocator_trace.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {

// Told of what holds: an event that cannot be is none of the log's. Events are told by their index
// in the trace, -1: what was there when it began.
class BlockLogger {
 public:
  // `trace`, `layers` and `log` outlive it.
  BlockLogger(const AllocatorTrace& trace, std::span<const LayerTable::Layer> layers,
              AllocatorLog& log);

  struct Place {
    std::uint64_t address = 0;
    std::int64_t bytes = 0;
  };
  void changed(std::int64_t event, SegmentChange change, PoolKind pool, const Place& place);
  void born(std::int64_t event, const Place& block, std::int64_t requested_bytes);
  // REQUIRES a block that was born at `address` and has not died.
  void free_requested(std::int64_t event, std::uint64_t address);
  void died(std::int64_t event, std::uint64_t address);

  // Why the log is none; a clause. Empty when it is whole.
  const std::string& problem() const noexcept { return problem_; }

 private:
  std::int64_t next_event(std::int64_t event);
  // As the log holds it.
  std::int64_t placed(const Place& place);
  Phase phase_at(std::int64_t event);
  std::string layer_at(std::int64_t event) const;

  const AllocatorTrace& trace_;
  std::span<const LayerTable::Layer> layers_;
  AllocatorLog& log_;
  std::map<std::uint64_t, std::size_t> live_;  // address -> block of the log
  std::size_t phases_begun_ = 0;
  std::int64_t all_bytes_ = 0;  // of every block and every change of a segment
  std::string problem_;
};

}  // namespace sbp::profiler
