// The segments of a heap, as a snapshot lists them.
#pragma once

#include <vector>

#include "profiler/predict/caching_allocator.h"
#include "profiler/predict/heap.h"

namespace sbp::predict {

// By address.
std::vector<Segment> list_segments(Heap& heap);

}  // namespace sbp::predict
