#include "profiler/lifetimes.h"

#include <utility>

namespace sbp::profiler {
namespace {

// More than any machine has; keeps every sum of sizes far from overflow.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 62;

class Reader {
 public:
  Reader(std::span<const Record> records, std::size_t layer_count, Problems& problems)
      : records_(records), layer_count_(layer_count), problems_(problems) {
    result_.block_of_record.assign(records.size(), kNoBlock);
    result_.blocks.reserve(records.size() / 2 + 1);  // a block mostly has two records or more
  }

  Lifetimes read() {
    for (index_ = 0; index_ < records_.size(); ++index_) take(records_[index_]);
    if (!forward_ended_) end_forward();
    result_.scopes.finish();
    return std::move(result_);
  }

 private:
  void take(const Record& record) {
    switch (record.kind) {
      case RecordKind::allocate: return allocate(record);
      case RecordKind::free: return free(record);
      case RecordKind::tag: return tag(record);
      case RecordKind::save: return save(record);
      case RecordKind::release: return release(record);
      case RecordKind::layer_enter:
        return result_.scopes.enter(record.thread, layer_of(record), record.node);
      case RecordKind::layer_leave: return leave(record);
      case RecordKind::phase: return enter_phase(record);
      case RecordKind::operation: return;  // allocates nothing itself
    }
    note("record ", index_, " is of the unknown kind '", static_cast<int>(record.kind), "'");
  }

  void allocate(const Record& record) {
    ++result_.allocate_events;
    const auto number = static_cast<std::uint32_t>(result_.blocks.size());
    Block block;
    block.bytes = size_of(record);
    block.birth = static_cast<std::uint32_t>(index_);
    block.outer_scope = result_.scopes.outermost(record.thread);
    block.inner_scope = result_.scopes.innermost(record.thread);
    block.phase_number = phase_number_;
    block.phase = phase_;
    layer_of(record);
    if ((record.detail & kAccumulates) != 0) block.accumulates_into = live_.find(record.node);
    const std::uint32_t old = live_.exchange(record.address, number);
    if (old != kNoBlock) {
      note("a block was allocated at ", hex(record.address), ", where another was still live");
      result_.blocks[old].death = block.birth;
      result_.overwritten.push_back({block.birth, old});
    }
    result_.blocks.push_back(block);
    result_.block_of_record[index_] = number;
  }

  std::int64_t size_of(const Record& record) {
    if (record.bytes > 0 && record.bytes <= kMostBytes - born_bytes_) {
      born_bytes_ += record.bytes;
      return record.bytes;
    }
    note("a block of '", record.bytes, "' bytes was allocated at ", hex(record.address),
         "; it counts as empty");
    return 0;
  }

  void free(const Record& record) {
    ++result_.free_events;
    const std::uint32_t number = live_.take(record.address);
    if (number == kNoBlock) {
      ++result_.unmatched_frees;
      return note("a block at ", hex(record.address), " was freed that was not live");
    }
    Block& block = result_.blocks[number];
    const Record& birth = records_[block.birth];
    if (birth.bytes != record.bytes) {
      note("the block at ", hex(record.address), " was allocated with ", birth.bytes,
           " bytes and freed with ", record.bytes);
    }
    block.death = static_cast<std::uint32_t>(index_);
    result_.block_of_record[index_] = number;
    set_where_it_died(block, birth, record);
  }

  // Blocks older than the first phase were live before the trace: nobody knows what made them.
  void set_where_it_died(Block& block, const Record& birth, const Record& death) const {
    if (block.phase_number == 0) return;
    if (birth.node != kNoNode) {
      block.died_in_op = death.node == birth.node && death.thread == birth.thread;
      block.died_in_layer = block.died_in_op;
    } else if (block.outer_scope != kNoScope) {
      block.died_in_op = result_.scopes.outermost(birth.thread) == block.outer_scope;
      block.died_in_layer = result_.scopes.is_open(birth.thread, block.inner_scope);
    } else {
      block.died_in_op = block.phase_number == phase_number_;
      block.died_in_layer = block.died_in_op;
    }
  }

  // The live block that a tag or save speaks of. Address 0 is an empty storage: no block, no
  // problem.
  std::uint32_t subject_of(const Record& record, const char* what) {
    const std::uint32_t number = live_.find(record.address);
    if (number == kNoBlock && record.address != 0) {
      note("a ", what, " names the block at ", hex(record.address), ", which is not live");
    }
    return number;
  }

  void tag(const Record& record) {
    const LayerId layer = layer_of(record);
    if (record.detail >= kCategoryCount) {
      return note("a tag carries the unknown category '", int{record.detail}, "'");
    }
    const std::uint32_t number = subject_of(record, "tag");
    if (number == kNoBlock) return;
    Block& block = result_.blocks[number];
    const auto category = static_cast<Category>(record.detail);
    const bool stronger = category < block.tag;
    if (layer != kNoLayer && (stronger || block.tag_layer == kNoLayer)) block.tag_layer = layer;
    if (stronger) block.tag = category;
  }

  void save(const Record& record) {
    const LayerId layer = layer_of(record);
    const std::uint32_t number = subject_of(record, "save");
    if (number != kNoBlock) {
      Block& block = result_.blocks[number];
      block.saved = true;
      if (block.save_layer == kNoLayer) block.save_layer = layer;
    }
    if (!saved_.save(record.node, {logical_size_of(record), number, layer, label_of(record)})) {
      note("two saves carry the number ", record.node);
    }
  }

  std::int64_t logical_size_of(const Record& record) {
    if (record.bytes >= 0 && record.bytes <= kMostBytes - logical_bytes_) {
      logical_bytes_ += record.bytes;
      return record.bytes;
    }
    note("a save of '", record.bytes, "' bytes; it counts as empty");
    return 0;
  }

  SaveLabel label_of(const Record& record) {
    if (record.detail <= static_cast<std::uint8_t>(SaveLabel::scale)) {
      return static_cast<SaveLabel>(record.detail);
    }
    note("a save carries the unknown label '", int{record.detail}, "'");
    return SaveLabel::value;
  }

  void release(const Record& record) {
    if (!saved_.release(record.node)) {
      note("a release names the save ", record.node, ", which is not held");
    }
  }

  void leave(const Record& record) {
    layer_of(record);
    if (!result_.scopes.leave(record.thread, record.node)) {
      note("a layer scope closed on thread ", record.thread, ", where none was open");
    }
  }

  void enter_phase(const Record& record) {
    if (record.detail >= kPhaseCount) {
      return note("record ", index_, " announces the unknown phase '", int{record.detail}, "'");
    }
    ++phase_number_;
    phase_ = static_cast<Phase>(record.detail);
    if (phase_ == Phase::backward && !forward_ended_) end_forward();
  }

  void end_forward() {
    forward_ended_ = true;
    result_.held = saved_.held();
    const auto gone = std::erase_if(
        result_.held, [&](const Save& save) { return result_.blocks[save.block].death != kNever; });
    if (gone > 0) note(gone, " saves are held whose storages were freed");
  }

  LayerId layer_of(const Record& record) {
    const LayerId layer = known_layer(record.layer, layer_count_);
    if (layer != record.layer) {
      note("record ", index_, " names the layer '", record.layer, "', which the table lacks");
    }
    return layer;
  }

  template <typename... Parts>
  void note(const Parts&... parts) {
    problems_.note(static_cast<std::int64_t>(index_), parts...);
  }

  std::span<const Record> records_;
  std::size_t layer_count_;
  Problems& problems_;
  Lifetimes result_;
  NumberMap live_;  // address -> index into result_.blocks
  SavedBooks saved_;
  std::size_t index_ = 0;
  std::uint32_t phase_number_ = 0;
  Phase phase_ = Phase::setup;
  bool forward_ended_ = false;
  std::int64_t born_bytes_ = 0;
  std::int64_t logical_bytes_ = 0;
};

}  // namespace

Lifetimes read_lifetimes(std::span<const Record> records, std::size_t layer_count,
                         Problems& problems) {
  return Reader(records, layer_count, problems).read();
}

}  // namespace sbp::profiler
