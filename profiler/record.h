// One event of a trace: forty flat bytes, written in an allocator's hot path.
#pragma once

#include <cstdint>
#include <string_view>

#include "sbp/base/scope.h"

namespace sbp::profiler {

enum class RecordKind : std::uint8_t {
  allocate,     // after the block exists
  free,         // before the block goes
  tag,          // the live block at `address` is `detail` (a Category)
  save,         // autograd took hold of the storage at `address`
  release,      // autograd let go of what `save` with the same `node` took
  layer_enter,  // a layer scope opened on `thread`
  layer_leave,
  phase,      // the step enters the phase `detail`
  operation,  // a kernel ran that `address` says in Trace::operations
};

// What a block is for. One for its whole life: the first of this order that applies.
enum class Category : std::uint8_t {
  parameter,
  buffer,
  average,      // of a parameter over the run (EMA)
  weight_copy,  // 16-bit, of a parameter, for one step
  input,
  gradient,
  optimizer_state,
  activation,       // a storage that autograd holds for backward
  workspace,        // scratch of a convolution kernel
  autograd_detail,  // born in backward, outlives the node that made it
  temporary,        // died in the scope or node that made it
  unknown,
};
inline constexpr int kCategoryCount = 12;
std::string_view to_string(Category category);

// Bits of `detail` in an allocate record.
inline constexpr std::uint8_t kInConvolution = 1;  // made inside a convolution's node or layer
inline constexpr std::uint8_t kAccumulates = 2;  // `node` is the address of the parameter's storage

inline constexpr std::uint64_t kNoNode = ~std::uint64_t{0};

struct Record {
  std::uint64_t time_ns = 0;  // since the trace started
  // Of the block; for save, release, tag: of the storage's block, 0 for a storage of no bytes.
  // operation: the index of what ran.
  std::uint64_t address = 0;
  // allocate, free: the bytes asked for. save: logical bytes of the saved tensor (a view counts
  // what it shows). phase: the allocator's own live counter at this moment.
  std::int64_t bytes = 0;
  // allocate, free: sequence number of the backward node running on this thread, kNoNode if none
  // (with kAccumulates: see there). layer_enter, layer_leave: the next sequence number that this
  // thread's forward will give out. save, release: the save's own number, unique in the trace.
  std::uint64_t node = kNoNode;
  LayerId layer = kNoLayer;  // innermost layer scope open on the thread; tag: the block's owner
  std::uint16_t thread = 0;  // small dense number; for node-carrying records the thread whose
                             // forward gave out that sequence number
  RecordKind kind = RecordKind::allocate;
  std::uint8_t detail = 0;  // tag: Category. save: SaveLabel. phase: Phase. allocate: bits above
};
static_assert(sizeof(Record) == 40);

}  // namespace sbp::profiler
