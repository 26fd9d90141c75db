// What a run asks of an allocator, in order, and whose each block is.
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/operation.h"
#include "profiler/trace.h"
#include "sbp/base/scope.h"

namespace sbp::predict {

struct Workload {
  struct Block {
    std::int64_t bytes = 0;
    LayerId layer = kNoLayer;
    profiler::Category category = profiler::Category::unknown;
  };
  static constexpr std::uint32_t kNoBlock = ~std::uint32_t{0};
  struct Operation {
    profiler::Operation what;
    // Of a softmax: the blocks that it reads and writes; kNoBlock where they are not known.
    std::uint32_t read = kNoBlock;
    std::uint32_t written = kNoBlock;
    LayerId layer = kNoLayer;
    bool backward = false;  // run by autograd, which has a thread of its own on a GPU
  };
  struct Event {
    enum class Kind : std::uint8_t { allocate, free, operation, step, phase, layer };
    Kind kind = Kind::allocate;
    // Of the block or operation; the step's number from 1; the Phase; the LayerId + 1 that is being
    // computed from here on.
    std::uint32_t index = 0;
  };

  std::vector<LayerTable::Layer> layers;
  std::vector<Block> blocks;
  std::vector<Operation> operations;
  std::vector<Event> events;
  std::int64_t steps = 0;
};

// The most bytes of blocks that live at one moment.
std::int64_t peak_tensor_bytes(const Workload& workload);

// The workload of a dry run's trace, which may hold many steps, each begun by Phase::setup, as are
// the later batches of one that accumulates, each after a backward. Throws
// Error for a trace that lost records or whose frees do not match: its sizes would be too small.
Workload workload_of(const profiler::Trace& trace);

}  // namespace sbp::predict
