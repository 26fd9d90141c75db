#include "profiler/predict/replay.h"

#include <algorithm>
#include <array>
#include <utility>

#include "profiler/predict/allocator_logger.h"
#include "profiler/predict/caching_allocator.h"
#include "profiler/predict/scratch.h"

namespace sbp::predict {
namespace {

using Kind = Workload::Event::Kind;

// A workspace that the process keeps: one of a kind a thread.
struct KeptScratch {
  ScratchKind kind;
  bool backward;
  Handle handle;
  std::int64_t bytes;
};

// A block that stays until another goes.
struct Held {
  std::uint32_t block;
  std::uint32_t until;
  bool asked_for = false;  // its own free came
};

class Machine {
 public:
  // `last_request`: stops right after that many allocations; 0: goes on to the end. `log` may be
  // nullptr.
  Machine(const Workload& workload, const DeviceProfile& device, const AllocatorOptions& options,
          std::int64_t last_request = 0, profiler::AllocatorLog* log = nullptr)
      : workload_(workload),
        device_(device),
        allocator_(options),
        last_request_(last_request),
        handles_(workload.blocks.size()),
        log_(log) {
    if (!log_.is_on()) return;
    allocator_.observe_segments([this](const SegmentEvent& event) { log_.changed(event); });
  }

  ReplayResult run() {
    for (const Workload::Event& event : workload_.events) {
      take(event);
      if (stopped_) break;
    }
    const AllocatorStatistics& statistics = allocator_.statistics();
    result_.segments = statistics.segments.current;
    result_.device_allocations = statistics.device_allocs;
    result_.retries = statistics.retries;
    result_.peak_requested_bytes = statistics.total.requested.peak;
    result_.peak_allocated_bytes = statistics.total.allocated.peak;
    result_.peak_reserved_bytes = statistics.total.reserved.peak;
    return result_;
  }

  Composition composition() const {
    Composition result;
    std::vector<LayerBytes> rows(workload_.layers.size() + 1);
    const auto add = [&](LayerId layer, profiler::Category category, std::int64_t bytes,
                         Handle handle) {
      LayerBytes& row = rows[layer == kNoLayer ? rows.size() - 1 : static_cast<std::size_t>(layer)];
      row.requested_bytes += bytes;
      row.block_bytes += allocator_.place(handle).block_bytes;
      row.categories[static_cast<std::size_t>(category)] += bytes;
      result.rounding_bytes += allocator_.place(handle).block_bytes - bytes;
    };
    for (std::size_t i = 0; i < handles_.size(); ++i) {
      const Workload::Block& block = workload_.blocks[i];
      if (handles_[i]) add(block.layer, block.category, block.bytes, *handles_[i]);
    }
    if (scratch_) add(layer_, profiler::Category::workspace, scratch_->second, scratch_->first);
    for (const KeptScratch& kept : kept_) {
      result.rounding_bytes += allocator_.place(kept.handle).block_bytes - kept.bytes;
      result.kept.push_back({std::string(to_string(kept.kind)), kept.bytes});
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].block_bytes == 0) continue;
      const bool outside = i + 1 == rows.size();
      rows[i].name = outside ? std::string() : workload_.layers[i].name;
      rows[i].kind = outside ? std::string("outside") : workload_.layers[i].kind;
      result.layers.push_back(std::move(rows[i]));
    }
    return result;
  }

 private:
  void take(const Workload::Event& event) {
    switch (event.kind) {
      case Kind::allocate: {
        const Workload::Block& block = workload_.blocks[event.index];
        const auto handle = allocate(block.bytes);
        if (!handle) return;
        handles_[event.index] = *handle;
        log(*handle, block.category, block.layer);
        return;
      }
      case Kind::free: return free(event.index);
      case Kind::operation: return operate(workload_.operations[event.index]);
      case Kind::step: step_ = event.index; return;
      case Kind::phase: phase_ = static_cast<Phase>(event.index); return;
      case Kind::layer: layer_ = static_cast<LayerId>(event.index) - 1; return;
    }
  }

  // A block that a softmax read goes when its result does, and not before (keeps_softmax_input).
  void free(std::uint32_t block) {
    const auto held = std::ranges::find(held_, block, &Held::block);
    if (held != held_.end()) {
      held->asked_for = true;
      return;
    }
    give_back(*handles_[block]);
    handles_[block].reset();
    const auto ends = std::ranges::find(held_, block, &Held::until);
    if (ends == held_.end()) return;
    const Held last = *ends;
    held_.erase(ends);
    if (last.asked_for) free(last.block);
  }

  void hold(const Workload::Operation& softmax) {
    if (!keeps_softmax_input(device_)) return;
    if (softmax.read == Workload::kNoBlock || softmax.written == Workload::kNoBlock) return;
    held_.push_back({.block = softmax.read, .until = softmax.written});
  }

  void operate(const Workload::Operation& operation) {
    if (operation.what.kind == profiler::OperationKind::softmax) return hold(operation);
    for (const Scratch& scratch : scratch_of(operation.what, device_)) {
      if (scratch.kept) {
        keep(scratch, operation.backward);
      } else {
        use(scratch);
      }
      if (stopped_) return;
    }
  }

  void keep(const Scratch& scratch, bool backward) {
    for (const KeptScratch& kept : kept_) {
      if (kept.kind == scratch.kind && kept.backward == backward) return;
    }
    const auto handle = allocate(scratch.bytes);
    if (!handle) return;
    kept_.push_back({scratch.kind, backward, *handle, scratch.bytes});
    log(*handle, profiler::Category::workspace, kNoLayer);
  }

  // cuDNN does with less where there is less: it tries its next way of computing.
  void use(const Scratch& scratch) {
    const bool needed = scratch.kind != ScratchKind::cudnn_workspace;
    const auto handle = allocate(scratch.bytes, needed);
    if (!handle) return;
    scratch_ = {*handle, scratch.bytes};
    log(*handle, profiler::Category::workspace, layer_);
    if (stopped_) return;
    give_back(*handle);
    scratch_.reset();
  }

  void log(Handle handle, profiler::Category category, LayerId layer) {
    if (!log_.is_on()) return;
    log_.born(handle, allocator_.place(handle), {category, name_of(layer)}, moment());
  }

  void give_back(Handle handle) {
    log_.died(handle);
    allocator_.free(handle);
  }

  std::optional<Handle> allocate(std::int64_t bytes, bool needed = true) {
    const auto handle = allocator_.allocate(bytes);
    if (!handle) {
      if (!needed) return handle;
      result_.completed = false;
      result_.failed_at = moment();
      result_.failed_bytes = bytes;
      stopped_ = true;
      return handle;
    }
    ++result_.requests;
    const AllocatorStatistics& statistics = allocator_.statistics();
    if (statistics.total.allocated.current > highest_allocated_) {
      highest_allocated_ = statistics.total.allocated.current;
      result_.allocated_peak = moment();
      result_.allocated_peak_request = result_.requests;
    }
    if (statistics.total.reserved.current > highest_reserved_) {
      highest_reserved_ = statistics.total.reserved.current;
      result_.reserved_peak = moment();
    }
    stopped_ = result_.requests == last_request_;
    return handle;
  }

  std::string name_of(LayerId layer) const {
    if (layer == kNoLayer) return {};
    return workload_.layers[static_cast<std::size_t>(layer)].name;
  }

  Moment moment() const { return {step_, phase_, name_of(layer_)}; }

  const Workload& workload_;
  const DeviceProfile& device_;
  CachingAllocator allocator_;
  std::int64_t last_request_;
  std::vector<std::optional<Handle>> handles_;  // index = block
  AllocatorLogger log_;
  std::vector<KeptScratch> kept_;
  std::vector<Held> held_;
  std::optional<std::pair<Handle, std::int64_t>> scratch_;  // in use now
  ReplayResult result_;
  std::int64_t step_ = 0;
  Phase phase_ = Phase::setup;
  LayerId layer_ = kNoLayer;
  std::int64_t highest_allocated_ = 0;
  std::int64_t highest_reserved_ = 0;
  bool stopped_ = false;
};

}  // namespace

ReplayResult replay(const Workload& workload, const DeviceProfile& device,
                    const AllocatorOptions& options, profiler::AllocatorLog* log) {
  return Machine(workload, device, options, /*last_request=*/0, log).run();
}

Composition composition_at(std::int64_t request, const Workload& workload,
                           const DeviceProfile& device, const AllocatorOptions& options) {
  Machine machine(workload, device, options, request);
  machine.run();
  return machine.composition();
}

}  // namespace sbp::predict
