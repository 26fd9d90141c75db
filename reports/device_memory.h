// A CUDA device's memory in a traced step, beside the profile of its tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profiler/allocator_log.h"

namespace sbp::reports {

// Driver memory that no segment of PyTorch's allocator accounts for, of one kind and layer.
struct UnseenMemory {
  std::string kind;        // CUPTI's: device, pinned, managed, ...
  std::string layer;       // of the forward whose call made it; "backward"; empty: outside both
  std::string name;        // of the library or symbol; empty: unknown
  std::int64_t bytes = 0;  // all of it that was made, whether it lived together or not
  std::int64_t count = 0;

  bool operator==(const UnseenMemory&) const = default;
};

struct DeviceMemory {
  // When tensors asked for most. The first four sum to reserved.
  std::int64_t requested_bytes = 0;
  std::int64_t rounding_bytes = 0;  // blocks are larger than what was asked for
  std::int64_t awaiting_bytes = 0;  // blocks freed that another stream still uses
  std::int64_t cached_bytes = 0;    // free in the allocator's segments
  std::int64_t reserved_bytes = 0;
  std::int64_t unseen_bytes = 0;  // on the device, beside the allocator, seen by CUPTI
  std::int64_t peak_reserved_bytes = 0;
  // Used on the device at the end by nobody that was seen: contexts, kernel code, handles, other
  // processes.
  std::optional<std::int64_t> nameless_bytes;
  std::vector<UnseenMemory> unseen;
  std::string cupti_reason;   // why CUPTI saw nothing; empty when it ran
  bool balanced = false;      // the allocator's own counters agree, and nothing was lost
  std::string first_problem;  // a sentence; empty when balanced
  // What the allocator did over the step, where asked for.
  std::optional<profiler::AllocatorLog> blocks = {};
  std::string blocks_reason = {};  // why it is not there; empty where it is

  bool operator==(const DeviceMemory&) const = default;
};

}  // namespace sbp::reports
