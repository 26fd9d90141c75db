#include "profiler/ledger.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "profiler/block_lives.h"
#include "profiler/layer_tree.h"
#include "profiler/lifetimes.h"
#include "profiler/ownership.h"
#include "profiler/peak_composition.h"
#include "profiler/problems.h"
#include "profiler/replay.h"
#include "profiler/saved_figures.h"

namespace sbp::profiler {
namespace {

using Layers = std::span<const LayerTable::Layer>;

// The passes number records and blocks with 32 bits and keep the last number for "none".
constexpr std::size_t kMostRecords = 0xFFFFFFFE;

std::int64_t transient_bytes(const CategoryBytes& categories) {
  return categories[static_cast<std::size_t>(Category::workspace)] +
         categories[static_cast<std::size_t>(Category::autograd_detail)] +
         categories[static_cast<std::size_t>(Category::temporary)];
}

PeakMoment peak_moment(const Moment& moment, std::span<const Record> records, Layers layers) {
  PeakMoment result;
  if (moment.record_index < 0) return result;
  result.bytes = moment.bytes;
  result.phase = moment.phase;
  if (moment.layer != kNoLayer) result.layer = layers[static_cast<std::size_t>(moment.layer)].name;
  result.time_ns = records[static_cast<std::size_t>(moment.record_index)].time_ns;
  result.record_index = moment.record_index;
  return result;
}

LayerMemory layer_row(const LayerTable::Layer& layer, const SavedBytes& saved,
                      const CategoryBytes& categories) {
  const auto own = std::accumulate(categories.begin(), categories.end(), std::int64_t{0});
  return {layer.name, layer.kind, saved, own, categories};
}

// Only layers with anything; what lies outside every layer comes last, without a name.
std::vector<LayerMemory> layer_rows(Layers layers, const SavedFigures& saved,
                                    const Composition& peak) {
  std::vector<LayerMemory> rows;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    rows.push_back(
        layer_row(layers[i], saved.layers[i], peak.by_category(static_cast<LayerId>(i))));
  }
  rows.push_back(layer_row({"", "outside"}, saved.outside, peak.by_category(kNoLayer)));
  std::erase_if(rows, [](const LayerMemory& row) {
    return row.own_peak_bytes == 0 && row.saved == SavedBytes{};
  });
  return rows;
}

LedgerCheck check_of(const Lifetimes& lifetimes, std::int64_t dropped, std::int64_t recounts,
                     const Problems& problems) {
  LedgerCheck check;
  check.allocate_events = lifetimes.allocate_events;
  check.free_events = lifetimes.free_events;
  check.dropped_events = dropped;
  check.unmatched_frees = lifetimes.unmatched_frees;
  check.recounts = recounts;
  check.problems = problems.count();
  check.balanced = problems.count() == 0;
  check.peak_is_lower_bound = dropped != 0 || lifetimes.unmatched_frees > 0;
  check.first_problem = problems.first();
  return check;
}

}  // namespace

MemoryProfile analyse(const Trace& trace, const LedgerOptions& options) {
  const Layers layers = trace.layers;
  std::span<const Record> records = trace.records;
  std::int64_t dropped = trace.dropped_records;
  if (records.size() > kMostRecords) {
    dropped += static_cast<std::int64_t>(records.size() - kMostRecords);
    records = records.first(kMostRecords);
  }
  Problems problems;
  if (dropped != 0) problems.note(-1, dropped, " records were dropped: the peak is a lower bound");

  Lifetimes lifetimes = read_lifetimes(records, layers.size(), problems);
  lifetimes.older_records = static_cast<std::size_t>(std::max<std::int64_t>(0, trace.older_blocks));
  const std::vector<Owner> owners = owners_of(records, lifetimes, layers.size());
  Replay replayed =
      replay(records, lifetimes, owners, layers.size(), trace.live_at_end_bytes, options, problems);
  const Composition peak(lifetimes.blocks, owners, layers.size(), replayed.peak.record_index);
  const SavedFigures saved =
      saved_figures(lifetimes.held, lifetimes.blocks, owners, parents_of(layers));

  MemoryProfile profile;
  profile.peak = peak_moment(replayed.peak, records, layers);
  profile.runner_up = peak_moment(replayed.runner_up, records, layers);
  profile.categories_at_peak = peak.by_category();
  profile.transient_peak_bytes = transient_bytes(profile.categories_at_peak);
  profile.saved = saved.total;
  profile.layers = layer_rows(layers, saved, peak);
  profile.cells_at_peak = peak.cells(layers);
  profile.phases = std::move(replayed.phases);
  profile.timeline = std::move(replayed.timeline);
  profile.ledger = check_of(lifetimes, dropped, replayed.recounts, problems);
  if (options.keep_blocks) profile.blocks = block_lives(records, lifetimes, owners, layers);
  return profile;
}

}  // namespace sbp::profiler
