#include "profiler/torch/tracer.h"

#include <ATen/SequenceNumber.h>
#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "profiler/torch/operation_watch.h"
#include "profiler/torch/origin.h"
#include "profiler/torch/recording.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

// A layer's kind is known from the table alone, so the hot path need not look.
void mark_convolution_layers(std::vector<Record>& records,
                             std::span<const LayerTable::Layer> layers) {
  for (Record& record : records) {
    if (record.kind != RecordKind::allocate || record.layer == kNoLayer) continue;
    if (layers[static_cast<std::size_t>(record.layer)].kind == "conv2d") {
      record.detail |= kInConvolution;
    }
  }
}

DeviceId::Kind traceable(const DeviceId& device) {
  if (device.kind == DeviceId::Kind::cuda && !counts_cuda_storages(device.index)) {
    throw Error(concat("starting a memory trace: device '", to_string(device),
                       "' cannot be traced; cpu and meta can, and one CUDA device after "
                       "install_cuda_hooks() for it"));
  }
  return device.kind;
}

}  // namespace

class Tracer::Session final : public ScopeObserver {
 public:
  Session(const TracerOptions& options, const LayerTable& layers)
      : recording_(traceable(options.device), options.buffer_records), layers_(layers) {
    start_recording(recording_);
    older_blocks_ = std::ssize(recording_.buffer.records());
    other_observer_ = set_scope_observer(this);
    if (recording_.device == DeviceId::Kind::meta) {
      operations_.emplace();
    }
    try {
      if (listener_ != nullptr) listener_->trace_started(recording_);
    } catch (...) {
      halt();  // a constructor that throws has no destructor to do it
      throw;
    }
  }

  ~Session() override {
    if (running_) halt();
  }

  void layer_entered(LayerId layer) noexcept override {
    log_mark(RecordKind::layer_enter, layer);
    if (listener_ != nullptr) listener_->layer_entered(layer);
  }
  void layer_left(LayerId layer) noexcept override {
    log_mark(RecordKind::layer_leave, layer);
    if (listener_ != nullptr) listener_->layer_left(layer);
  }

  DeviceId::Kind device() const noexcept { return recording_.device; }

  Trace stop() {
    halt();
    Trace trace;
    const auto records = recording_.buffer.records();
    trace.records.assign(records.begin(), records.end());
    trace.layers = layers_.layers();
    trace.operations = std::move(recording_.operations);
    trace.older_blocks = older_blocks_;
    trace.dropped_records = recording_.buffer.dropped();
    trace.live_at_end_bytes = live_at_end_bytes_;
    mark_convolution_layers(trace.records, trace.layers);
    return trace;
  }

  std::int64_t dropped_records() const noexcept { return recording_.buffer.dropped(); }

 private:
  static void log_mark(RecordKind kind, LayerId layer) noexcept {
    Record record = layer_record(kind);
    record.layer = layer;
    record.node = at::sequence_number::peek();
    log(record);
  }

  void halt() noexcept {
    if (listener_ != nullptr) listener_->trace_stopping();
    set_scope_observer(other_observer_);
    operations_.reset();
    live_at_end_bytes_ = stop_recording();
    running_ = false;
  }

  Recording recording_;
  std::optional<OperationWatch> operations_;
  std::int64_t older_blocks_ = 0;
  const LayerTable& layers_;
  TraceListener* const listener_ = trace_listener();
  ScopeObserver* other_observer_ = nullptr;  // that was there before, and is again after
  std::int64_t live_at_end_bytes_ = 0;
  bool running_ = true;
};

Tracer::Tracer(const TracerOptions& options, const LayerTable& layers)
    : session_(std::make_unique<Session>(options, layers)) {}

Tracer::~Tracer() = default;

void Tracer::enter(Phase phase) {
  Record record = layer_record(RecordKind::phase);
  record.detail = static_cast<std::uint8_t>(phase);
  log_phase(record);
  if (TraceListener* listener = trace_listener()) listener->phase_entered(phase);
}

void Tracer::tag(const at::Tensor& tensor, Category category, LayerId layer) {
  const auto block = storage_block(tensor);
  if (!block) return;
  Record record = layer_record(RecordKind::tag);
  record.address = block->address;
  record.layer = layer;
  record.detail = static_cast<std::uint8_t>(category);
  log_for(block->device, record);
}

std::int64_t Tracer::dropped_records() const noexcept {
  return session_ == nullptr ? 0 : session_->dropped_records();
}

Trace Tracer::stop() {
  if (session_ == nullptr) throw Error("stopping a memory trace: it was stopped before");
  Trace trace = session_->stop();
  session_.reset();
  return trace;
}

std::int64_t live_bytes(const DeviceId& device) noexcept {
  return live_blocks(device.kind).live_bytes();
}

std::int64_t peak_live_bytes(const DeviceId& device) noexcept {
  return live_blocks(device.kind).peak_bytes();
}

void reset_peak_live_bytes(const DeviceId& device) noexcept {
  live_blocks(device.kind).reset_peak();
}

}  // namespace sbp::profiler
