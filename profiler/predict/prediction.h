// What a run would take of a GPU's memory: plain numbers in bytes, nothing that computes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profiler/allocator_log.h"
#include "profiler/memory_profile.h"
#include "sbp/base/scope.h"

namespace sbp::predict {

// A moment of the run.
struct Moment {
  std::int64_t step = 0;  // from 1; 0: before the first
  Phase phase = Phase::setup;
  std::string layer;  // being computed then; empty: outside every layer

  bool operator==(const Moment&) const = default;
};

// One layer's own blocks (children apart) at one moment; of none where it only saves something.
struct LayerBytes {
  std::string name;  // empty: outside every layer
  std::string kind;
  std::int64_t requested_bytes = 0;
  std::int64_t block_bytes = 0;          // with what rounding and unsplit rests add
  profiler::CategoryBytes categories{};  // of the requested bytes
  // What the first step's forward saved for backward; of a parent, its children's too.
  profiler::SavedBytes saved;

  bool operator==(const LayerBytes&) const = default;
};

// Bytes that belong to no layer.
struct NamedBytes {
  std::string name;
  std::int64_t bytes = 0;

  bool operator==(const NamedBytes&) const = default;
};

// Does the run complete on a card of this size? Found by a replay that may take no more.
struct Fit {
  std::int64_t capacity_bytes = 0;
  bool fits = false;
  std::int64_t peak_device_bytes = 0;  // of that replay, up to where it ended
  std::int64_t retries = 0;  // allocations that made the allocator give cached memory back
  // Where it ran out of memory, and the block that was asked for; of runs that do not fit.
  std::optional<Moment> failed_at = {};
  std::int64_t failed_bytes = 0;

  bool operator==(const Fit&) const = default;
};

// How well predictions did on runs whose memory was read on real cards (docs/prediction.md).
// Errors are relative to the reading.
struct Accuracy {
  std::int64_t runs = 0;
  std::string runs_of;  // "fp32 convolutional nets on 2 cards"; empty: not known
  double median_error = 0.0;
  double ninetieth_percentile_error = 0.0;
  double worst_error = 0.0;
  double under_estimate_rate = 0.0;      // of runs
  double under_by_5_percent_rate = 0.0;  // of runs whose prediction was 5 % too low or more
  double lowest_ratio = 1.0;             // of reserved bytes, reading / prediction: 5th percentile
  double highest_ratio = 1.0;            // 95th percentile

  bool operator==(const Accuracy&) const = default;
};

struct Interval {
  std::int64_t low_bytes = 0;
  std::int64_t high_bytes = 0;

  bool operator==(const Interval&) const = default;
};

struct LargestBatch {
  std::int64_t batch = 0;  // 0: not even one sample fits
  std::int64_t peak_device_bytes = 0;
  // That fits even at the upper end of its interval; 0: none. Empty: not searched for.
  std::optional<std::int64_t> cautious_batch = {};
  // From this batch on tensors alone take more than the card has. Empty: not known, or with
  // `or_more` from none that was tried.
  std::optional<std::int64_t> bound = {};
  bool or_more = false;

  bool operator==(const LargestBatch&) const = default;
};

struct Prediction {
  std::string device;     // resolved spec
  std::string allocator;  // resolved spec
  std::int64_t steps = 0;
  std::int64_t peak_requested_bytes = 0;  // of tensors and workspaces, as asked for
  std::int64_t peak_allocated_bytes = 0;  // of their blocks (max_memory_allocated)
  std::int64_t peak_reserved_bytes = 0;   // of the allocator's segments (max_memory_reserved)
  std::int64_t peak_device_bytes = 0;     // of the process on the card
  Moment allocated_peak;
  Moment reserved_peak;
  // Who owns the card's memory when allocated bytes first reach their peak. Requested bytes of the
  // layers and the overheads sum to peak_device_bytes: what is reserved at most, and then in no
  // block, is an overhead.
  std::vector<LayerBytes> layers;
  std::vector<NamedBytes> overheads;
  Interval interval;  // of peak_device_bytes: of its reserved bytes, as far as `accuracy` knows
  Accuracy accuracy;
  std::optional<Fit> fits;
  std::optional<LargestBatch> largest_batch;
  std::int64_t segments = 0;            // at the end
  std::int64_t device_allocations = 0;  // calls to the driver
  std::int64_t requests = 0;            // blocks that were asked for
  // Of the run that the peaks are of, where asked for.
  std::optional<profiler::AllocatorLog> blocks;

  bool operator==(const Prediction&) const = default;
};

}  // namespace sbp::predict
