// The result of one traced step: plain numbers in bytes, nothing that computes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profiler/record.h"

namespace sbp::profiler {

using CategoryBytes = std::array<std::int64_t, kCategoryCount>;  // index = Category

// What autograd held for backward when the forward ended. Parameters, buffers and the input
// batch are left out; index and scale bytes are in.
struct SavedBytes {
  std::int64_t logical_bytes = 0;   // every save, each tensor at its own size
  std::int64_t distinct_bytes = 0;  // every storage once, at the storage's size
  std::int64_t marginal_bytes = 0;  // storages that nothing outside this layer saves
  std::int64_t index_bytes = 0;     // of distinct: storages saved only as index or scale
  std::int64_t count = 0;           // saves

  bool operator==(const SavedBytes&) const = default;
};

// One layer and, for a parent, all below it: logical bytes add up over leaves; distinct and
// marginal are taken over the set of storages that the layer and its children save.
struct LayerMemory {
  std::string name;
  std::string kind;
  SavedBytes saved;
  // What this layer itself (children apart) owned at the peak: these rows sum to the peak.
  std::int64_t own_peak_bytes = 0;
  CategoryBytes own_categories_at_peak{};

  bool operator==(const LayerMemory&) const = default;
};

// Live bytes at the peak, by owner layer x phase of birth x category; non-zero cells only.
struct PeakCell {
  std::string layer;  // empty: outside every layer
  Phase phase = Phase::setup;
  Category category = Category::unknown;
  std::int64_t bytes = 0;

  bool operator==(const PeakCell&) const = default;
};

struct PeakMoment {
  std::int64_t bytes = 0;
  Phase phase = Phase::setup;
  std::string layer;  // being computed then; empty: outside every layer
  std::uint64_t time_ns = 0;
  std::int64_t record_index = -1;

  bool operator==(const PeakMoment&) const = default;
};

struct PhaseMemory {
  Phase phase = Phase::setup;
  std::int64_t peak_bytes = 0;
  std::int64_t live_at_end_bytes = 0;
  // Of blocks born in the phase; those older than the trace are in live and peak bytes only.
  std::int64_t allocated_bytes = 0;
  std::int64_t allocate_events = 0;

  bool operator==(const PhaseMemory&) const = default;
};

struct TimelinePoint {
  std::uint64_t time_ns = 0;
  std::int64_t live_bytes = 0;
  Phase phase = Phase::setup;

  bool operator==(const TimelinePoint&) const = default;
};

// Does the book agree with something that is not the book?
struct LedgerCheck {
  std::int64_t allocate_events = 0;
  std::int64_t free_events = 0;
  std::int64_t dropped_events = 0;
  std::int64_t unmatched_frees = 0;
  std::int64_t recounts = 0;         // full recounts of the live set; one more at the end
  bool balanced = false;             // nothing was dropped and every check held
  bool peak_is_lower_bound = false;  // something was dropped or unmatched
  std::string first_problem;         // a sentence; empty when balanced
  std::int64_t problems = 0;         // everything that did not add up, the first included

  bool operator==(const LedgerCheck&) const = default;
};

// One block from its birth to its death: live after record i if born_record <= i < died_record.
struct BlockLife {
  std::int64_t bytes = 0;
  std::int64_t born_record = 0;
  std::int64_t died_record = -1;  // -1: it outlived the trace
  std::uint64_t born_ns = 0;
  std::uint64_t died_ns = 0;
  Category category = Category::unknown;
  Phase phase = Phase::setup;  // of its birth
  std::string layer;           // that the bytes are charged to; empty: outside every layer
  bool saved = false;          // it is of those that SavedBytes counts, at some time of the trace
  std::uint64_t address = 0;   // to find it in other books of the same run; no report has it

  bool operator==(const BlockLife&) const = default;
};

struct PhaseMark {
  Phase phase = Phase::setup;
  std::int64_t record = 0;
  std::uint64_t time_ns = 0;

  bool operator==(const PhaseMark&) const = default;
};

struct BlockLives {
  std::vector<PhaseMark> phases;  // in order; what comes before the first mark is setup
  std::uint64_t end_ns = 0;       // of the trace
  std::vector<BlockLife> lives;   // by birth

  bool operator==(const BlockLives&) const = default;
};

struct MemoryProfile {
  PeakMoment peak;
  // The highest moment in another (phase, layer) than the peak's: what would be the peak if that
  // one went away. A moment is an allocation's.
  PeakMoment runner_up;
  std::int64_t transient_peak_bytes = 0;  // of the peak: workspace, autograd_detail, temporary
  CategoryBytes categories_at_peak{};
  SavedBytes saved;
  // In the layer table's order, only layers with anything. What lies outside every layer comes
  // last, with an empty name and the kind "outside".
  std::vector<LayerMemory> layers;
  std::vector<PeakCell> cells_at_peak;
  std::vector<PhaseMemory> phases;      // in order of first appearance
  std::vector<TimelinePoint> timeline;  // down-sampled; every bucket keeps its maximum
  LedgerCheck ledger;
  std::optional<BlockLives> blocks;  // where LedgerOptions asked for them

  bool operator==(const MemoryProfile&) const = default;
};

}  // namespace sbp::profiler
