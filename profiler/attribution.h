// Where in the model each thread was: open layer scopes, and which layer a backward node is of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sbp/base/scope.h"

namespace sbp::profiler {

// Numbers of layer scopes, each opening a number of its own; 0 is no scope.
using ScopeNumber = std::uint32_t;
inline constexpr ScopeNumber kNoScope = 0;

// Fed with the layer_enter and layer_leave records of a trace, in order.
class ScopeHistory {
 public:
  // `next_node`: the sequence number that the thread's forward gives out next.
  void enter(std::uint16_t thread, LayerId layer, std::uint64_t next_node);
  // False when the thread has no scope open.
  bool leave(std::uint16_t thread, std::uint64_t next_node);

  ScopeNumber outermost(std::uint16_t thread) const noexcept;
  ScopeNumber innermost(std::uint16_t thread) const noexcept;
  bool is_open(std::uint16_t thread, ScopeNumber scope) const noexcept;

  // Call once after the last record and before layer_of_node.
  void finish();
  // The layer that was open on `thread` when its forward gave out sequence number `node`, or
  // kNoLayer.
  LayerId layer_of_node(std::uint16_t thread, std::uint64_t node) const noexcept;

 private:
  struct Scope {
    ScopeNumber number;
    LayerId layer;
  };
  // From sequence number `node` on, `layer` is the innermost open one.
  struct Mark {
    std::uint64_t node;
    LayerId layer;
  };
  struct Thread {
    std::vector<Scope> open;  // outermost first, so numbers ascend
    std::vector<Mark> marks;
  };

  Thread& at(std::uint16_t thread);
  const Thread* find(std::uint16_t thread) const noexcept;

  std::vector<Thread> threads_;  // index: the records' dense thread number
  ScopeNumber last_number_ = kNoScope;
};

}  // namespace sbp::profiler
