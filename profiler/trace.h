// What a tracer hands to the ledger: the records of one run and the names they refer to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiler/operation.h"
#include "profiler/record.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {

struct Trace {
  std::vector<Record> records;  // in order; blocks older than the trace come first, as allocates
  std::vector<LayerTable::Layer> layers;  // index = LayerId
  std::vector<Operation> operations;      // of records of that kind; dry runs alone log them
  std::int64_t older_blocks = 0;          // the first so many records: blocks that lived already
  std::int64_t dropped_records = 0;       // did not fit; the peak is then a lower bound
  std::int64_t live_at_end_bytes = 0;     // the allocator's own counter when the trace stopped
};

}  // namespace sbp::profiler
