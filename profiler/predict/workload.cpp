#include "profiler/predict/workload.h"

#include <algorithm>
#include <unordered_map>

#include "profiler/lifetimes.h"
#include "profiler/ownership.h"
#include "sbp/base/error.h"

namespace sbp::predict {
namespace {

using profiler::Record;
using profiler::RecordKind;

class Reader {
 public:
  Reader(const profiler::Trace& trace, const profiler::Lifetimes& lifetimes)
      : trace_(trace), lifetimes_(lifetimes) {}

  Workload read() {
    take_blocks();
    for (std::size_t i = 0; i < trace_.records.size(); ++i) take(i);
    result_.layers = trace_.layers;
    return std::move(result_);
  }

 private:
  using Kind = Workload::Event::Kind;

  void take_blocks() {
    owners_ = profiler::owners_of(trace_.records, lifetimes_, trace_.layers.size());
    result_.blocks.reserve(owners_.size());
    for (std::size_t i = 0; i < owners_.size(); ++i) {
      result_.blocks.push_back({lifetimes_.blocks[i].bytes, owners_[i].layer, owners_[i].category});
    }
  }

  void take(std::size_t index) {
    const Record& record = trace_.records[index];
    const std::uint32_t block = lifetimes_.block_of_record[index];
    switch (record.kind) {
      case RecordKind::allocate:
        block_at_[record.address] = block;
        enter(owners_[block].born_in);
        return add(Kind::allocate, block);
      case RecordKind::free: return add(Kind::free, block);
      case RecordKind::operation: return take_operation(record);
      case RecordKind::phase:
        if (record.detail == static_cast<std::uint8_t>(Phase::setup) && !in_backward_) {
          add(Kind::step, static_cast<std::uint32_t>(++result_.steps));
        }
        in_backward_ = record.detail == static_cast<std::uint8_t>(Phase::backward);
        return add(Kind::phase, record.detail);
      default: return;
    }
  }

  void take_operation(const Record& record) {
    const LayerId layer = profiler::layer_computing(record, lifetimes_, trace_.layers.size());
    enter(layer);
    if (record.address >= trace_.operations.size()) {
      throw Error(concat("reading a dry run's trace: record names the operation '", record.address,
                         "' of ", trace_.operations.size()));
    }
    add(Kind::operation, static_cast<std::uint32_t>(result_.operations.size()));
    const profiler::Operation& operation = trace_.operations[record.address];
    result_.operations.push_back({.what = operation,
                                  .read = block_at(operation.read_address),
                                  .written = block_at(operation.written_address),
                                  .layer = layer,
                                  .backward = record.node != profiler::kNoNode});
  }

  // The latest there; operations name blocks that live.
  std::uint32_t block_at(std::uint64_t address) const {
    const auto found = block_at_.find(address);
    return found == block_at_.end() ? Workload::kNoBlock : found->second;
  }

  void enter(LayerId layer) {
    if (layer == layer_) return;
    layer_ = layer;
    add(Kind::layer, static_cast<std::uint32_t>(layer + 1));
  }

  void add(Kind kind, std::uint32_t index) { result_.events.push_back({kind, index}); }

  const profiler::Trace& trace_;
  const profiler::Lifetimes& lifetimes_;
  std::vector<profiler::Owner> owners_;
  std::unordered_map<std::uint64_t, std::uint32_t> block_at_;  // by address
  Workload result_;
  LayerId layer_ = kNoLayer;
  bool in_backward_ = false;
};

}  // namespace

std::int64_t peak_tensor_bytes(const Workload& workload) {
  std::int64_t live = 0, peak = 0;
  for (const Workload::Event& event : workload.events) {
    if (event.kind == Workload::Event::Kind::allocate) live += workload.blocks[event.index].bytes;
    if (event.kind == Workload::Event::Kind::free) live -= workload.blocks[event.index].bytes;
    peak = std::max(peak, live);
  }
  return peak;
}

Workload workload_of(const profiler::Trace& trace) {
  profiler::Problems problems;
  const profiler::Lifetimes lifetimes =
      profiler::read_lifetimes(trace.records, trace.layers.size(), problems);
  if (trace.dropped_records > 0) {
    throw Error(concat("reading a dry run's trace: ", trace.dropped_records,
                       " records were lost, so its memory would be too small; use fewer steps"));
  }
  if (problems.count() > 0) {
    throw Error(concat("reading a dry run's trace: ", problems.first()));
  }
  return Reader(trace, lifetimes).read();
}

}  // namespace sbp::predict
