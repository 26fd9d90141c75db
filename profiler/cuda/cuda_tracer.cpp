#include "profiler/cuda/cuda_tracer.h"

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/record_function.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "profiler/cuda/allocator_trace.h"
#include "profiler/cuda/cupti_source.h"
#include "profiler/cuda/scope_id.h"
#include "profiler/torch/origin.h"
#include "profiler/torch/recording.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;
using c10::CachingDeviceAllocator::TraceEntry;

constexpr std::size_t kMostEvents = std::size_t{1} << 21;
constexpr std::int64_t kSelfTestElements = 48;  // of 4 bytes

std::uint64_t steady_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

std::optional<AllocatorAction> action_of(const TraceEntry& entry) {
  switch (entry.action_) {
    case TraceEntry::ALLOC: return AllocatorAction::allocate;
    case TraceEntry::FREE_REQUESTED: return AllocatorAction::free_requested;
    case TraceEntry::FREE_COMPLETED: return AllocatorAction::free_completed;
    case TraceEntry::SEGMENT_ALLOC: return AllocatorAction::segment_alloc;
    case TraceEntry::SEGMENT_FREE: return AllocatorAction::segment_free;
    case TraceEntry::SEGMENT_MAP: return AllocatorAction::segment_map;
    case TraceEntry::SEGMENT_UNMAP: return AllocatorAction::segment_unmap;
    case TraceEntry::OOM: return AllocatorAction::out_of_memory;
    case TraceEntry::SNAPSHOT:
    case TraceEntry::ANNOTATE: break;
  }
  return std::nullopt;
}

AllocatorSegment segment_of(const c10::CachingDeviceAllocator::SegmentInfo& info) {
  AllocatorSegment segment{.address = info.address,
                           .bytes = static_cast<std::int64_t>(info.total_size),
                           .is_small = !info.is_large,
                           .is_expandable = info.is_expandable,
                           .blocks = {}};
  for (const auto& block : info.blocks) {
    using State = AllocatorBlock::State;
    const State state = block.allocated ? State::allocated
                        : block.active  ? State::awaiting
                                        : State::free;
    const auto asked = static_cast<std::int64_t>(block.requested_size);
    segment.blocks.push_back({.bytes = static_cast<std::int64_t>(block.size),
                              .requested_bytes = state == State::free ? 0 : asked,
                              .state = state});
  }
  return segment;
}

AllocatorCounters counters_of(c10::DeviceIndex index) {
  const auto stats = allocator::getDeviceStats(index);
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return {.requested_bytes = stats.requested_bytes[kAll].current,
          .allocated_bytes = stats.allocated_bytes[kAll].current,
          .active_bytes = stats.active_bytes[kAll].current,
          .reserved_bytes = stats.reserved_bytes[kAll].current,
          .retries = stats.num_alloc_retries,
          .out_of_memory = stats.num_ooms};
}

bool is_of_segments(AllocatorAction action) {
  return action == AllocatorAction::segment_alloc || action == AllocatorAction::segment_free ||
         action == AllocatorAction::segment_map || action == AllocatorAction::segment_unmap;
}

// Note [Under the allocator's lock]: the allocator calls `saw` while it holds its lock. There only
// records are written, under our own two locks (`lock_`, then that of recording.cpp). Nobody who
// holds one of those calls the allocator, so there is one order: the allocator's, ours,
// recording's.
class DeviceWatch final : public TraceListener {
 public:
  explicit DeviceWatch(const DeviceId& device) : device_(device) {}

  const DeviceId& device() const noexcept { return device_; }

  void saw(const TraceEntry& entry) noexcept {
    if (entry.device_ != device_.index) return;
    const auto action = action_of(entry);
    if (!action) return;
    const std::lock_guard guard(lock_);
    try {
      log(*action, entry);
      if (*action == AllocatorAction::allocate) {
        add_block(entry.addr_, static_cast<std::int64_t>(entry.size_));
      }
    } catch (const std::exception&) {  // the host is out of memory
      ++trace_.dropped_events;
    }
    if (*action == AllocatorAction::free_requested) remove_block(entry.addr_);
  }

  // Blocks that were made before the allocator told of any.
  void add_older_blocks() {
    const auto snapshot = allocator::snapshot({0, 0}, /*include_traces=*/false);
    const std::lock_guard guard(lock_);
    for (const auto& segment : snapshot.segments) {
      if (segment.device != device_.index) continue;
      std::uint64_t address = segment.address;
      for (const auto& block : segment.blocks) {
        if (block.allocated) add_block(address, static_cast<std::int64_t>(block.requested_size));
        address += block.size;
      }
    }
  }

  // CUPTI runs from here to the end of the first trace, so that what libraries take at their first
  // use is seen, with the layer that it is for.
  void start_cupti() {
    LoadedCupti loaded = load_cupti();
    if (loaded.api == nullptr) {
      cupti_reason_ = concat("CUPTI: ", loaded.reason);
      return;
    }
    cupti_ = std::move(loaded.api);
    source_ = std::make_unique<CuptiSource>(*cupti_);
    driver_is_watched_ = source_->start();
    cupti_reason_ = source_->reason();
  }
  CuptiSource* source() noexcept { return source_.get(); }

  void trace_started(const Recording& recording) override {
    if (recording.device != DeviceId::Kind::cuda) return;
    const auto snapshot = allocator::snapshot({0, 0}, /*include_traces=*/false);
    AllocatorTrace trace;
    trace.device = device_.index;
    trace.start_ns = steady_ns();
    trace.events.reserve(kMostEvents);
    for (const auto& segment : snapshot.segments) {
      if (segment.device == device_.index) trace.segments.push_back(segment_of(segment));
    }
    const auto& config = snapshot.config_metadata;
    if (config.max_split_size != ~std::size_t{0}) {
      trace.max_split_bytes = static_cast<std::int64_t>(config.max_split_size);
    }
    trace.rounds_by_powers = std::ranges::any_of(
        config.roundup_power2_divisions, [](std::size_t divisions) { return divisions > 1; });
    const std::lock_guard guard(lock_);
    trace.earlier_segments = std::exchange(earlier_segments_, {});
    trace.dropped_events = trace_.dropped_events;
    trace_ = std::move(trace);
    logging_ = true;
  }

  void layer_entered(LayerId layer) noexcept override {
    if (source_ != nullptr) source_->push(layer_scope_id(layer));
  }
  void layer_left(LayerId) noexcept override {
    if (source_ != nullptr) source_->pop();
  }
  // The books hold what we counted; the allocator counts for itself. Blocks that a stream still
  // uses are in its requested bytes and no longer in ours, so only without any the two must agree.
  void phase_entered(Phase phase) override {
    if (!mark(phase)) return;
    const AllocatorCounters counters = counters_of(static_cast<c10::DeviceIndex>(device_.index));
    const std::int64_t ours = live_blocks(DeviceId::Kind::cuda).live_bytes();
    if (counters.active_bytes != counters.allocated_bytes || counters.requested_bytes == ours)
      return;
    const std::lock_guard guard(lock_);
    if (!trace_.phase_problem.empty()) return;
    trace_.phase_problem =
        concat("the books hold ", ours, " bytes of the device when the phase '", to_string(phase),
               "' begins, the allocator counts ", counters.requested_bytes);
  }

  void trace_stopping() noexcept override {
    AllocatorTrace trace;
    {
      const std::lock_guard guard(lock_);
      if (!std::exchange(logging_, false)) return;
      driver_is_watched_ = false;
      trace = std::exchange(trace_, {});
    }
    try {
      observe(std::move(trace));
    } catch (const std::exception& error) {
      seen_.emplace();
      failure_ =
          concat("reading the device's memory at the end of the trace failed: ", error.what());
    }
  }

  std::optional<CudaObservations> take_observations(const CudaBooksOptions& options) {
    const std::optional<AllocatorTrace> trace = std::exchange(seen_, std::nullopt);
    if (!trace) return std::nullopt;
    const CuptiTrace cupti = std::exchange(cupti_trace_, {});
    CudaObservations observations{.books = {}, .cupti_reason = cupti_reason_};
    if (failure_.empty()) {
      observations.books = cuda_books(*trace, cupti, options);
    } else {
      observations.books.problems = 1;
      observations.books.first_problem = failure_;
      observations.books.log_reason = failure_;
    }
    return observations;
  }

 private:
  // Whether a trace is being logged.
  bool mark(Phase phase) {
    const std::lock_guard guard(lock_);
    if (logging_) trace_.phases.push_back({std::ssize(trace_.events), phase});
    return logging_;
  }

  void log(AllocatorAction action, const TraceEntry& entry) {
    if (!logging_ && !(driver_is_watched_ && is_of_segments(action))) return;
    std::vector<AllocatorEvent>& events = logging_ ? trace_.events : earlier_segments_;
    if (events.size() == kMostEvents) {
      ++trace_.dropped_events;
      return;
    }
    events.push_back({.action = action,
                      .address = entry.addr_,
                      .bytes = static_cast<std::int64_t>(entry.size_),
                      .stream = reinterpret_cast<std::uint64_t>(entry.stream_),
                      .time_ns = steady_ns(),
                      .layer = current_layer()});
  }

  void add_block(std::uint64_t address, std::int64_t bytes) {
    auto block = std::make_unique<LiveBlock>(
        LiveBlock{.previous = nullptr, .next = nullptr, .bytes = bytes, .address = address});
    const auto [place, is_new] = blocks_.try_emplace(address, std::move(block));
    if (is_new) live_blocks(DeviceId::Kind::cuda).add(*place->second);
  }

  void remove_block(std::uint64_t address) noexcept {
    const auto found = blocks_.find(address);
    if (found == blocks_.end()) return;
    live_blocks(DeviceId::Kind::cuda).remove(*found->second);
    blocks_.erase(found);
  }

  void observe(AllocatorTrace trace) {
    const auto index = static_cast<c10::DeviceIndex>(device_.index);
    trace.counters_at_end = counters_of(index);
    const auto [free, total] = allocator::get()->getMemoryInfo(index);
    trace.device_used_bytes = static_cast<std::int64_t>(total - free);
    CuptiTrace cupti;
    if (source_ != nullptr && source_->is_running()) {
      cupti = source_->stop();
    } else if (cupti_reason_.empty()) {
      cupti_reason_ = "CUPTI: it was ended with the first trace of this run";
    }
    trace.events.shrink_to_fit();  // it stays until it is taken
    seen_ = std::move(trace);
    cupti_trace_ = std::move(cupti);
    failure_.clear();
  }

  const DeviceId device_;
  std::mutex lock_;
  std::unordered_map<std::uint64_t, std::unique_ptr<LiveBlock>> blocks_;  // live, by address
  AllocatorTrace trace_;
  bool logging_ = false;
  bool driver_is_watched_ = false;  // CUPTI runs, and the first trace has not ended
  std::vector<AllocatorEvent> earlier_segments_;

  std::unique_ptr<CuptiApi> cupti_;
  std::unique_ptr<CuptiSource> source_;
  std::string cupti_reason_ = "CUPTI: this run did not ask for it";
  std::optional<AllocatorTrace> seen_;  // the last trace, until it is taken
  CuptiTrace cupti_trace_;              // of the same time
  std::string failure_;                 // why it is none; empty when it is one
};

// Never destroyed: blocks are freed until the process ends.
DeviceWatch* watch = nullptr;
bool is_installed = false;  // it is attached, and passed the self-test

// Backward runs in threads of the engine, which open no layer scopes.
std::unique_ptr<at::ObserverContext> backward_entered(const at::RecordFunction&) {
  CuptiSource* source = watch->source();
  if (source != nullptr && source->is_running()) {
    source->push(node_scope_id(attributed_record(RecordKind::allocate)));
  }
  return nullptr;
}

void backward_left(const at::RecordFunction&, at::ObserverContext*) {
  if (CuptiSource* source = watch->source()) source->pop();
}

// Why LibTorch finds no device, in its words up to the first full stop.
std::string libtorch_reason() {
  try {
    c10::cuda::device_count_ensure_non_zero();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return text.substr(0, text.find('.'));
  }
  return "it has none";
}

// A block that is made and freed is counted; nothing else would be if this were not.
void self_test(const DeviceId& device) {
  const auto live = [&] { return live_bytes(device); };
  const std::int64_t before = live();
  std::int64_t during = 0;
  bool storage_is_known = false;
  {
    const at::Tensor probe = at::empty(
        {kSelfTestElements},
        at::dtype(at::kFloat).device(at::kCUDA, static_cast<c10::DeviceIndex>(device.index)));
    during = live();
    storage_is_known = storage_block(probe).has_value();
  }
  if (during == before + kSelfTestElements * 4 && live() == before && storage_is_known) return;
  throw Error(concat("installing the memory hooks on '", to_string(device),
                     "': the allocator hook is blind: it counted ", during - before, " bytes of ",
                     kSelfTestElements * 4,
                     "; unset PYTORCH_NO_CUDA_MEMORY_CACHING and use LibTorch 2.14"));
}

void finish_install(const DeviceId& device) {
  self_test(device);
  reset_peak_live_bytes(device);
  is_installed = true;
}

}  // namespace

std::string cuda_unavailable(const DeviceId& device) {
  const int count = c10::cuda::device_count();
  if (count == 0) {
    return concat("no CUDA device can be used (", libtorch_reason(),
                  "); install NVIDIA's driver 580 or later, or use cpu, or meta for a dry run");
  }
  if (device.index < count) return {};
  return concat("this machine has ", count, " CUDA device", count == 1 ? "" : "s", "; use cuda:0",
                count == 1 ? "" : concat(" to cuda:", count - 1));
}

void install_cuda_hooks(const DeviceId& device, DriverWatch driver) {
  if (watch != nullptr) {
    if (watch->device() != device) {
      throw Error(concat("device '", to_string(device), "': this program already records '",
                         to_string(watch->device()), "'; one CUDA device a program"));
    }
    if (!is_installed) finish_install(device);  // it failed, and may not pass in silence now
    return;
  }
  if (const std::string reason = cuda_unavailable(device); !reason.empty()) {
    throw Error(concat("device '", to_string(device), "': ", reason));
  }
  auto fresh = std::make_unique<DeviceWatch>(device);
  if (driver == DriverWatch::until_first_trace) fresh->start_cupti();  // before the context is made
  at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
  if (allocator::name() != "native") {
    throw Error(concat("device '", to_string(device), "': LibTorch's allocator '",
                       allocator::name(),
                       "' cannot be traced; leave backend out of PYTORCH_ALLOC_CONF"));
  }
  watch = fresh.release();
  allocator::attachAllocatorTraceTracker([](const TraceEntry& entry) { watch->saw(entry); });
  watch->add_older_blocks();
  count_cuda_storages(allocator::get()->raw_deleter(), device.index);
  set_trace_listener(watch);
  set_scope_observer(watch);  // until a tracer stands in for it, and after
  at::addGlobalCallback(at::RecordFunctionCallback(&backward_entered, &backward_left)
                            .scopes({at::RecordScope::BACKWARD_FUNCTION}));
  finish_install(device);
}

std::optional<CudaObservations> take_cuda_observations(const CudaBooksOptions& options) {
  return watch == nullptr ? std::nullopt : watch->take_observations(options);
}

}  // namespace sbp::profiler
