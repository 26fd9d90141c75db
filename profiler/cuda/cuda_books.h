// A device's memory during a trace, seen by PyTorch's allocator and by CUPTI, as one sum:
//
//   requested -> block -> reserved -> what the driver gave to others -> used on the device
//
// The allocator's events say how much each tensor asked for, what its block and its segment took.
// CUPTI says what the driver gave out, to whoever asked. A segment is seen by both and counted
// once, as PyTorch's. What is left of CUPTI's is memory that PyTorch does not see; what is left of
// the whole device nobody names: contexts, kernel code, other processes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/allocator_log.h"
#include "profiler/cuda/activity_books.h"
#include "profiler/cuda/allocator_trace.h"
#include "profiler/cuda/block_tiling.h"
#include "profiler/cuda/cupti_source.h"
#include "profiler/memory_profile.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {

struct DeviceMoment {
  AllocatorBytes allocator;
  std::int64_t unseen = 0;    // on the device, given by the driver to others than PyTorch
  std::int64_t event = -1;    // of the allocator, after which this was; -1: before all
  std::uint64_t time_ns = 0;  // steady clock

  bool operator==(const DeviceMoment&) const = default;
};

// An allocation of the driver that no segment of PyTorch's accounts for: on the traced device, or
// on none.
struct UnseenAllocation {
  MemoryKind kind = MemoryKind::unknown;
  std::uint64_t address = 0;
  std::int64_t bytes = 0;
  std::uint64_t born_ns = 0;                 // steady clock
  std::optional<std::uint64_t> died_ns;      // empty: it outlived the trace
  std::optional<std::uint64_t> external_id;  // of the scope that it was made in
  std::uint32_t callback_id = 0;             // of the runtime's function that made it; 0: unknown
  bool from_pool = false;                    // of the stream-ordered allocator
  std::string name;                          // of the symbol, or else the library that asked

  bool operator==(const UnseenAllocation&) const = default;
};

struct CudaBooks {
  DeviceMoment requested_peak;  // when tensors asked for most: the moment of the profile's peak
  DeviceMoment reserved_peak;
  DeviceMoment end;
  std::vector<UnseenAllocation> unseen;  // by birth
  MemoryKindBytes unseen_peak_bytes{};   // by kind, each at its own time
  std::int64_t segments_matched = 0;     // allocations of CUPTI's that are PyTorch's segments
  // Used on the device when the trace stopped, less reserved and unseen then: contexts, kernel
  // code, library handles, other processes. Empty where the device could not be asked.
  std::optional<std::int64_t> nameless_bytes;
  bool balanced = false;      // every check held and nothing was lost
  std::int64_t problems = 0;  // what did not add up
  std::string first_problem;  // a sentence; empty without one
  // What the allocator did, where asked for. An event that cannot be is a problem and not in it.
  std::optional<AllocatorLog> log;
  std::string log_reason;  // why there is none; empty where there is one
};

struct CudaBooksOptions {
  bool keep_blocks = false;
  // For the log: what the events' layers are indices of.
  std::span<const LayerTable::Layer> layers = {};
  // For the log, where there are: the same blocks in the books of the step, which know what each is
  // for. What they don't know has no category, and the layer that was open at its birth.
  const BlockLives* lives = nullptr;
};

// Never throws over strange traces: what does not add up is told. `cupti` may be empty.
CudaBooks cuda_books(const AllocatorTrace& allocator, const CuptiTrace& cupti,
                     const CudaBooksOptions& options = {});

}  // namespace sbp::profiler
