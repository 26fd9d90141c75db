// The life of every block of a trace, for those who draw or replay it.
#pragma once

#include <span>

#include "profiler/lifetimes.h"
#include "profiler/memory_profile.h"
#include "profiler/ownership.h"
#include "profiler/trace.h"

namespace sbp::profiler {

// By birth. Live bytes after each record, summed from these lives, are those of the replay.
BlockLives block_lives(std::span<const Record> records, const Lifetimes& lifetimes,
                       std::span<const Owner> owners, std::span<const LayerTable::Layer> layers);

}  // namespace sbp::profiler
