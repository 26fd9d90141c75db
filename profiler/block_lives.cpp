#include "profiler/block_lives.h"

namespace sbp::profiler {
namespace {

std::vector<PhaseMark> phase_marks(std::span<const Record> records) {
  std::vector<PhaseMark> marks;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    const bool is_mark = record.kind == RecordKind::phase && record.detail < kPhaseCount;
    // What comes before the first mark is setup.
    if (marks.empty() && !is_mark) marks.push_back({Phase::setup, 0, record.time_ns});
    if (!is_mark) continue;
    marks.push_back(
        {static_cast<Phase>(record.detail), static_cast<std::int64_t>(i), record.time_ns});
  }
  return marks;
}

}  // namespace

BlockLives block_lives(std::span<const Record> records, const Lifetimes& lifetimes,
                       std::span<const Owner> owners, std::span<const LayerTable::Layer> layers) {
  BlockLives result;
  result.phases = phase_marks(records);
  result.end_ns = records.empty() ? 0 : records.back().time_ns;
  result.lives.reserve(lifetimes.blocks.size());
  for (std::size_t i = 0; i < lifetimes.blocks.size(); ++i) {
    const Block& block = lifetimes.blocks[i];
    const Owner& owner = owners[i];
    BlockLife life;
    life.bytes = block.bytes;
    life.address = records[block.birth].address;
    life.born_record = block.birth;
    life.born_ns = records[block.birth].time_ns;
    if (block.death != kNever) {
      life.died_record = block.death;
      life.died_ns = records[block.death].time_ns;
    }
    life.category = owner.category;
    life.phase = owner.phase;
    if (owner.layer != kNoLayer) life.layer = layers[static_cast<std::size_t>(owner.layer)].name;
    // Parameters, what is made of them, buffers and the batch are in no saved figure either.
    life.saved = block.saved && owner.category > Category::input;
    result.lives.push_back(std::move(life));
  }
  return result;
}

}  // namespace sbp::profiler
