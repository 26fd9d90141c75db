// Random but sound traces against a model that looks everything up from scratch.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "profiler/ledger.h"
#include "profiler/ownership.h"
#include "profiler/totals.h"
#include "tests/profiler/trace_builder.h"

namespace sbp::profiler {
namespace {

const std::vector<std::string> kLayers = {"a", "a.x", "a.x.p", "a.y", "b", "c", "c.z"};

// --- the traces ---

class RandomTrace {
 public:
  explicit RandomTrace(std::uint64_t seed) : random_(seed), builder_(kLayers) {}

  Trace make() {
    for (std::uint64_t i = below(8); i > 0; --i) step(false);
    for (const Phase phase : {Phase::forward, Phase::backward, Phase::optimizer_step,
                              Phase::forward, Phase::evaluation}) {
      if (below(6) == 0) continue;
      builder_.on(0).node(kNoNode).phase(phase);
      for (std::uint64_t i = below(80); i > 0; --i) step(phase == Phase::backward);
    }
    return builder_.trace();
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void step(bool nodes) {
    const auto thread = static_cast<std::uint16_t>(below(2));
    builder_.on(thread).node(nodes && below(3) > 0 ? below(next_node_[thread] + 2) : kNoNode);
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: return allocate(nodes);
      case 4:
      case 5: return free();
      case 6:
      case 7: return save();
      case 8: return release();
      case 9:
        if (const auto address = some_block()) {
          const auto layer = static_cast<LayerId>(below(kLayers.size() + 3)) - 3;
          builder_.tag(address, static_cast<Category>(below(kCategoryCount)),
                       std::max(layer, kNoLayer));
        }
        return;
      case 10:
        next_node_[thread] += below(3);
        builder_.enter(static_cast<LayerId>(below(kLayers.size())), next_node_[thread]);
        return;
      default:
        next_node_[thread] += below(3);
        if (builder_.open_scopes() > 0) builder_.leave(next_node_[thread]);
        return;
    }
  }

  void allocate(bool nodes) {
    const std::uint64_t address = 1 + below(24);
    if (builder_.blocks().contains(address)) return;
    std::uint8_t detail = below(4) == 0 ? kInConvolution : std::uint8_t{0};
    if (nodes && below(5) == 0) {
      detail = static_cast<std::uint8_t>(detail | kAccumulates);
      builder_.node(1 + below(26));
    }
    builder_.allocate(address, static_cast<std::int64_t>(1 + below(1000)), detail);
  }

  void free() {
    const std::uint64_t address = some_block();
    const bool held =
        std::ranges::any_of(saves_, [&](auto& save) { return save.second == address; });
    if (address != 0 && !held) builder_.free(address);
  }

  void save() {
    const std::uint64_t address = some_block();
    if (address == 0) return;
    saves_.emplace_back(next_save_, address);
    builder_.save(next_save_++, address, static_cast<std::int64_t>(below(1000)),
                  static_cast<SaveLabel>(below(3)));
  }

  void release() {
    if (saves_.empty()) return;
    const auto save = saves_.begin() + static_cast<std::ptrdiff_t>(below(saves_.size()));
    builder_.release(save->first, save->second);
    saves_.erase(save);
  }

  // The address of a live block, or 0.
  std::uint64_t some_block() {
    const auto& blocks = builder_.blocks();
    if (blocks.empty()) return 0;
    return std::next(blocks.begin(), static_cast<std::ptrdiff_t>(below(blocks.size())))->first;
  }

  std::mt19937_64 random_;
  TraceBuilder builder_;
  std::array<std::uint64_t, 2> next_node_{};
  std::uint64_t next_save_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> saves_;  // held: number, address
};

// --- the model: every question is answered by walking the records from the start ---

class Model {
 public:
  explicit Model(const Trace& trace) : records_(trace.records) {}

  std::vector<std::size_t> births() const {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (records_[i].kind == RecordKind::allocate) result.push_back(i);
    }
    return result;
  }

  std::size_t death(std::size_t birth) const {
    for (std::size_t i = birth + 1; i < records_.size(); ++i) {
      if (records_[i].kind == RecordKind::free && records_[i].address == records_[birth].address) {
        return i;
      }
    }
    return records_.size();
  }

  // Phases announced before record `index`.
  std::vector<Phase> phases(std::size_t index) const {
    std::vector<Phase> result;
    for (std::size_t i = 0; i <= index && i < records_.size(); ++i) {
      if (records_[i].kind == RecordKind::phase) {
        result.push_back(static_cast<Phase>(records_[i].detail));
      }
    }
    return result;
  }

  // Indices of the enter records of the scopes open on `thread` after record `index`.
  std::vector<std::size_t> scopes(std::uint16_t thread, std::size_t index) const {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i <= index; ++i) {
      if (records_[i].thread != thread) continue;
      if (records_[i].kind == RecordKind::layer_enter) open.push_back(i);
      if (records_[i].kind == RecordKind::layer_leave) open.pop_back();
    }
    return open;
  }

  LayerId layer_of_node(std::uint16_t thread, std::uint64_t node) const {
    LayerId layer = kNoLayer;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Record& mark = records_[i];
      if (mark.kind != RecordKind::layer_enter && mark.kind != RecordKind::layer_leave) continue;
      if (mark.thread != thread || mark.node > node) continue;
      const auto open = scopes(thread, i);
      layer = open.empty() ? kNoLayer : records_[open.back()].layer;
    }
    return layer;
  }

  Owner owner(std::size_t birth) const {
    Owner result;
    result.phase = phases(birth).empty() ? Phase::setup : phases(birth).back();
    result.category = category(birth);
    result.born_in = born_in(birth);
    result.layer = result.born_in;
    if (const LayerId tagged = tag_layer(birth); tagged != kNoLayer) result.layer = tagged;
    if (result.category == Category::activation) {
      for (const Record& record : about(birth, RecordKind::save)) {
        if (record.layer == kNoLayer) continue;
        result.layer = record.layer;
        break;
      }
    }
    return result;
  }

  // Saves held at the end of the first forward, each with the birth of its block.
  std::vector<std::pair<Record, std::size_t>> held() const {
    std::size_t end = 0;
    while (end < records_.size() &&
           !(records_[end].kind == RecordKind::phase && records_[end].detail == int{2})) {
      ++end;
    }
    std::vector<std::pair<Record, std::size_t>> result;
    for (std::size_t i = 0; i < end; ++i) {
      if (records_[i].kind != RecordKind::save) continue;
      bool released = false;
      for (std::size_t j = i; j < end; ++j) {
        released = released || (records_[j].kind == RecordKind::release &&
                                records_[j].node == records_[i].node);
      }
      if (!released) result.emplace_back(records_[i], birth_of(records_[i].address, i));
    }
    return result;
  }

 private:
  // The allocate of the block that lives at `address` at record `index`, or the trace's size.
  std::size_t birth_of(std::uint64_t address, std::size_t index) const {
    std::size_t birth = records_.size();
    for (std::size_t i = 0; i < index; ++i) {
      if (records_[i].address != address) continue;
      if (records_[i].kind == RecordKind::allocate) birth = i;
      if (records_[i].kind == RecordKind::free) birth = records_.size();
    }
    return birth;
  }

  std::vector<Record> about(std::size_t birth, RecordKind kind) const {
    std::vector<Record> result;
    for (std::size_t i = birth; i < death(birth); ++i) {
      if (records_[i].kind == kind && records_[i].address == records_[birth].address) {
        result.push_back(records_[i]);
      }
    }
    return result;
  }

  Category strongest_tag(std::size_t birth) const {
    Category result = Category::unknown;
    for (const Record& record : about(birth, RecordKind::tag)) {
      result = std::min(result, static_cast<Category>(record.detail));
    }
    return result;
  }

  // Of the strongest tag so far that names a layer; a weaker one only if none did before.
  LayerId tag_layer(std::size_t birth) const {
    LayerId layer = kNoLayer;
    Category strongest = Category::unknown;
    for (const Record& record : about(birth, RecordKind::tag)) {
      const auto category = static_cast<Category>(record.detail);
      const bool counts = category < strongest || layer == kNoLayer;
      if (counts && record.layer != kNoLayer) layer = record.layer;
      strongest = std::min(strongest, category);
    }
    return layer;
  }

  Category category(std::size_t birth) const {
    Category told = strongest_tag(birth);
    if (!about(birth, RecordKind::save).empty()) told = std::min(told, Category::activation);
    if (told != Category::unknown) return told;
    const std::size_t end = death(birth);
    const bool in_trace = !phases(birth).empty();
    const bool died = in_trace && end < records_.size();
    if ((records_[birth].detail & kInConvolution) != 0 && died && died_in(birth, end, true)) {
      return Category::workspace;
    }
    if (died && died_in(birth, end, false)) return Category::temporary;
    const bool backward = in_trace && phases(birth).back() == Phase::backward;
    return backward ? Category::autograd_detail : Category::unknown;
  }

  bool died_in(std::size_t birth, std::size_t end, bool innermost) const {
    const Record& made = records_[birth];
    const Record& gone = records_[end];
    if (made.node != kNoNode) return gone.node == made.node && gone.thread == made.thread;
    const auto open = scopes(made.thread, birth);
    if (open.empty()) return phases(birth).size() == phases(end).size();
    const auto later = scopes(made.thread, end);
    return std::ranges::find(later, innermost ? open.back() : open.front()) != later.end();
  }

  LayerId born_in(std::size_t birth) const {
    const Record& record = records_[birth];
    if (record.layer != kNoLayer || record.node == kNoNode) return record.layer;
    if ((record.detail & kAccumulates) == 0) return layer_of_node(record.thread, record.node);
    const std::size_t parameter = birth_of(record.node, birth);
    if (parameter == records_.size()) return kNoLayer;
    if (strongest_tag(parameter) != Category::parameter) return kNoLayer;
    const LayerId tagged = tag_layer(parameter);
    return tagged != kNoLayer ? tagged : records_[parameter].layer;
  }

  const std::vector<Record>& records_;
};

bool is_within(const std::string& name, const std::string& parent) {
  return name == parent || name.starts_with(parent + ".");
}

// The figures of one layer (or of everything, for an empty name) by their definitions.
SavedBytes saved_within(const std::vector<std::pair<Record, std::size_t>>& held,
                        const std::map<std::size_t, Owner>& owners, const Trace& trace,
                        const std::string& layer) {
  SavedBytes result;
  std::map<std::size_t, std::int64_t> inside, outside, values;  // saves, by birth
  for (const auto& [save, birth] : held) {
    if (owners.at(birth).category <= Category::input) continue;
    const bool in =
        layer.empty() ||
        (save.layer != kNoLayer && is_within(kLayers[static_cast<std::size_t>(save.layer)], layer));
    ++(in ? inside : outside)[birth];
    if (save.detail == static_cast<std::uint8_t>(SaveLabel::value)) ++values[birth];
    if (!in) continue;
    result.logical_bytes += save.bytes;
    ++result.count;
  }
  for (const auto& [birth, saves] : inside) {
    const std::int64_t bytes = trace.records[birth].bytes;
    result.distinct_bytes += bytes;
    if (!outside.contains(birth)) result.marginal_bytes += bytes;
    if (!values.contains(birth)) result.index_bytes += bytes;
  }
  return result;
}

bool same_owner(const Owner& left, const Owner& right) {
  return left.layer == right.layer && left.born_in == right.born_in &&
         left.category == right.category && left.phase == right.phase;
}

// Totals of the model's live blocks after each record; every block must have the model's owner.
void check_every_event(const Trace& trace, const Model& model,
                       const std::map<std::size_t, Owner>& expected) {
  Problems problems;
  const Lifetimes lifetimes = read_lifetimes(trace.records, kLayers.size(), problems);
  const std::vector<Owner> owners = owners_of(trace.records, lifetimes, kLayers.size());
  REQUIRE(owners.size() == expected.size());
  bool same = true;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    same = same && same_owner(owners[i], expected.at(lifetimes.blocks[i].birth));
  }
  CHECK(same);
  std::map<std::size_t, std::size_t> deaths;
  for (const auto& [birth, owner] : expected) deaths[birth] = model.death(birth);
  Recount recount(lifetimes.blocks, owners, kLayers.size());
  for (std::size_t i = 0; i < trace.records.size(); ++i) {
    Totals naive(kLayers.size());
    for (const auto& [birth, owner] : expected) {
      if (birth <= i && i < deaths[birth]) naive.add(owner, trace.records[birth].bytes);
    }
    same = same && recount.after(static_cast<std::uint32_t>(i)) == naive;
  }
  CHECK(same);
}

void check_peak(const Trace& trace, const Model& model, const MemoryProfile& profile,
                const std::map<std::size_t, Owner>& owners) {
  std::map<std::pair<Phase, LayerId>, std::int64_t> highest;
  std::int64_t peak_bytes = 0;
  std::size_t peak = 0;
  std::int64_t live = 0;
  for (std::size_t i = 0; i < trace.records.size(); ++i) {
    if (trace.records[i].kind == RecordKind::free) live -= trace.records[i].bytes;
    if (trace.records[i].kind != RecordKind::allocate) continue;
    live += trace.records[i].bytes;
    std::int64_t& group = highest[{owners.at(i).phase, owners.at(i).born_in}];
    group = std::max(group, live);
    if (live > peak_bytes) {
      peak_bytes = live;
      peak = i;
    }
  }
  if (owners.empty()) return;
  CHECK(profile.peak.bytes == peak_bytes);
  CHECK(profile.peak.record_index == static_cast<std::int64_t>(peak));
  highest.erase({owners.at(peak).phase, owners.at(peak).born_in});
  std::int64_t runner_up = 0;
  for (const auto& [group, bytes] : highest) runner_up = std::max(runner_up, bytes);
  CHECK(profile.runner_up.bytes == runner_up);

  std::map<std::tuple<std::string, Phase, Category>, std::int64_t> cells;
  for (const auto& [birth, owner] : owners) {
    if (birth > peak || model.death(birth) <= peak) continue;
    const std::string layer =
        owner.layer == kNoLayer ? "" : kLayers[static_cast<std::size_t>(owner.layer)];
    cells[{layer, owner.phase, owner.category}] += trace.records[birth].bytes;
  }
  CHECK(profile.cells_at_peak.size() == cells.size());
  bool same = true;
  for (const PeakCell& cell : profile.cells_at_peak) {
    same = same && cells[{cell.layer, cell.phase, cell.category}] == cell.bytes;
  }
  CHECK(same);
}

TEST_CASE("random traces give what a model that walks all records gives") {
  std::set<Category> met;
  std::int64_t saved_bytes = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    const Trace trace = RandomTrace(seed).make();
    const Model model(trace);
    std::map<std::size_t, Owner> owners;
    for (const std::size_t birth : model.births()) owners[birth] = model.owner(birth);
    for (const auto& [birth, owner] : owners) met.insert(owner.category);

    const MemoryProfile profile = analyse(trace, {.recount_interval = 1});
    CHECK_MESSAGE(profile.ledger.balanced, profile.ledger.first_problem);
    CHECK(profile.ledger.recounts == profile.ledger.allocate_events + profile.ledger.free_events);
    check_every_event(trace, model, owners);
    check_peak(trace, model, profile, owners);

    const auto held = model.held();
    CHECK(profile.saved == saved_within(held, owners, trace, ""));
    for (const std::string& layer : kLayers) {
      CAPTURE(layer);
      CHECK(layer_named(profile, layer).saved == saved_within(held, owners, trace, layer));
    }
    std::int64_t rows = 0;
    for (const LayerMemory& layer : profile.layers) rows += layer.own_peak_bytes;
    CHECK(rows == profile.peak.bytes);
    saved_bytes += profile.saved.distinct_bytes;
  }
  // The traces reach every rule.
  CHECK(met.size() == kCategoryCount);
  CHECK(saved_bytes > 100'000);
}

TEST_CASE("blocks that are kept replay to the timeline at every event, and to the peak's cells") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const Trace trace = RandomTrace(seed).make();
    const MemoryProfile profile =
        analyse(trace, {.timeline_points = 1'000'000, .keep_blocks = true});
    REQUIRE(profile.blocks.has_value());
    const BlockLives& blocks = *profile.blocks;
    CHECK(std::ssize(blocks.lives) == profile.ledger.allocate_events);

    // Live bytes after each record that is an event, in order.
    std::map<std::int64_t, std::int64_t> changes;
    for (const BlockLife& life : blocks.lives) {
      changes[life.born_record] += life.bytes;
      if (life.died_record >= 0) changes[life.died_record] -= life.bytes;
    }
    std::vector<std::int64_t> live;
    for (const auto& [record, change] : changes) {
      live.push_back((live.empty() ? 0 : live.back()) + change);
    }
    std::vector<std::int64_t> timeline;
    for (const TimelinePoint& point : profile.timeline) timeline.push_back(point.live_bytes);
    CHECK(live == timeline);

    std::map<std::tuple<std::string, Phase, Category>, std::int64_t> cells;
    const std::int64_t peak = profile.peak.record_index;
    for (const BlockLife& life : blocks.lives) {
      const bool at_peak =
          life.born_record <= peak && (life.died_record < 0 || life.died_record > peak);
      if (at_peak) cells[{life.layer, life.phase, life.category}] += life.bytes;
    }
    for (const PeakCell& cell : profile.cells_at_peak) {
      CHECK(cells[{cell.layer, cell.phase, cell.category}] == cell.bytes);
    }
    CHECK(cells.size() == profile.cells_at_peak.size());
  }
}

TEST_CASE("phases of kept blocks begin where their records are; blocks are kept on demand only") {
  const Trace trace = TraceBuilder()
                          .allocate(1, 10)
                          .phase(Phase::forward)
                          .allocate(2, 20)
                          .save(1, 2, 20)
                          .phase(Phase::backward)
                          .release(1)
                          .free(2)
                          .trace();
  CHECK_FALSE(analyse(trace).blocks.has_value());
  const MemoryProfile profile = analyse(trace, {.keep_blocks = true});
  const BlockLives& blocks = *profile.blocks;
  CHECK(blocks.phases == std::vector<PhaseMark>{{Phase::setup, 0, trace.records[0].time_ns},
                                                {Phase::forward, 1, trace.records[1].time_ns},
                                                {Phase::backward, 4, trace.records[4].time_ns}});
  CHECK(blocks.end_ns == trace.records.back().time_ns);
  REQUIRE(blocks.lives.size() == 2);
  CHECK(blocks.lives[1] == BlockLife{.bytes = 20,
                                     .born_record = 2,
                                     .died_record = 6,
                                     .born_ns = trace.records[2].time_ns,
                                     .died_ns = trace.records[6].time_ns,
                                     .category = Category::activation,
                                     .phase = Phase::forward,
                                     .layer = "",
                                     .saved = true,
                                     .address = trace.records[2].address});
  CHECK(blocks.lives[0].died_record == -1);
}

}  // namespace
}  // namespace sbp::profiler
