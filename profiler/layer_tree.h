// Which layer lies inside which, by their dotted names.
#pragma once

#include <span>
#include <vector>

#include "sbp/base/scope.h"

namespace sbp::profiler {

// For each layer the nearest one in the table whose name is a dotted prefix of its own ("a.b" of
// "a.b.c"), or kNoLayer. Of several layers of one name the first is the parent.
std::vector<LayerId> parents_of(std::span<const LayerTable::Layer> layers);

}  // namespace sbp::profiler
