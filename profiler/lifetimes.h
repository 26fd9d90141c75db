// First pass over a trace: which blocks there were, when each lived, and what was said of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "profiler/attribution.h"
#include "profiler/problems.h"
#include "profiler/record.h"
#include "profiler/saved_books.h"

namespace sbp::profiler {

inline constexpr std::uint32_t kNever = ~std::uint32_t{0};

// One block from its allocate record to its free. Live after record i if birth <= i < death.
struct Block {
  std::int64_t bytes = 0;
  std::uint32_t birth = 0;                    // record index
  std::uint32_t death = kNever;               // record index
  std::uint32_t accumulates_into = kNoBlock;  // the block that its AccumulateGrad node adds into
  ScopeNumber outer_scope = kNoScope;         // open at birth on its thread
  ScopeNumber inner_scope = kNoScope;
  std::uint32_t phase_number = 0;  // how many phases were announced before its birth
  LayerId tag_layer = kNoLayer;    // said by its strongest tag that named a layer
  LayerId save_layer = kNoLayer;   // of the first save that was made inside a layer
  Category tag = Category::unknown;
  Phase phase = Phase::setup;  // of its birth
  bool saved = false;
  bool died_in_op = false;     // in the op scope that made it
  bool died_in_layer = false;  // in the innermost layer scope, or the node, that made it
};

// A block whose address was given out again although its free was never seen.
struct Overwritten {
  std::uint32_t record = 0;  // the allocate that showed it
  std::uint32_t block = kNoBlock;
};

struct Lifetimes {
  std::vector<Block> blocks;                   // by birth
  std::vector<std::uint32_t> block_of_record;  // of allocate and matched free; else kNoBlock
  std::vector<Overwritten> overwritten;        // by record
  ScopeHistory scopes;
  std::vector<Save> held;         // by autograd when the forward ended
  std::size_t older_records = 0;  // the first so many are of blocks that lived before the trace
  std::int64_t allocate_events = 0;
  std::int64_t free_events = 0;
  std::int64_t unmatched_frees = 0;
};

// REQUIRES fewer than 2^32 - 1 records. Layer ids outside [0, layer_count) count as no layer.
Lifetimes read_lifetimes(std::span<const Record> records, std::size_t layer_count,
                         Problems& problems);

// `layer` if the table has it, else kNoLayer.
inline LayerId known_layer(LayerId layer, std::size_t layer_count) noexcept {
  return layer >= 0 && static_cast<std::size_t>(layer) < layer_count ? layer : kNoLayer;
}

}  // namespace sbp::profiler
