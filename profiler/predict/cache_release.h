// Giving cached memory back to the device: when it is short, or when asked to.
#pragma once

#include <cstdint>

#include "profiler/predict/expandable_segments.h"
#include "profiler/predict/heap.h"

namespace sbp::predict {

// Garbage collection: while more than the threshold is reserved, whole free segments of the large
// pool go whose age is the average or more.
void collect(Heap& heap);

// With max_split: gives back oversize free blocks of the stream, the smallest that is enough for
// `bytes`, else from the largest down. Whether that was enough.
bool release_oversize(Heap& heap, PoolKind pool, std::uint32_t stream, std::int64_t bytes);

// Every whole free segment, and every free unit of expandable ones.
void release_all(Heap& heap, ExpandableSegments& expandable);

}  // namespace sbp::predict
