// install_torch_hooks() and the check that every hook sees what it must.
#include <ATen/core/Tensor.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <mutex>
#include <span>
#include <string>

#include "profiler/torch/cpu_allocator.h"
#include "profiler/torch/meta_allocator.h"
#include "profiler/torch/meta_kernels.h"
#include "profiler/torch/saved_tensor_engine.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

constexpr std::int64_t kSelfTestElements = 48;  // of 4 bytes
constexpr std::int64_t kSelfTestBytes = kSelfTestElements * 4;

// A forward and backward step of sum(x * w) in one layer, small enough to be checked by eye.
Trace traced_step(const DeviceId& device, const LayerTable& layers) {
  const c10::AutoGradMode with_graph(true);
  const auto options =
      at::TensorOptions(device.kind == DeviceId::Kind::meta ? at::kMeta : at::kCPU);
  const at::Tensor x = at::ones({kSelfTestElements}, options);
  Tracer tracer({.device = device, .buffer_records = 1024}, layers);
  at::Tensor w = at::ones({kSelfTestElements}, options);
  w.requires_grad_(true);
  at::Tensor loss;
  {
    const ScopedLayer scope(0);
    loss = at::sum(at::mul(x, w));
  }
  tracer.enter(Phase::backward);
  loss.backward();
  return tracer.stop();
}

// The hooks fail silently when LibTorch stops calling them, so look for their traces.
void self_test(const DeviceId& device) {
  LayerTable layers;
  const LayerId layer = layers.add("self_test", "module");
  const std::int64_t live_before = live_bytes(device);
  const Trace trace = traced_step(device, layers);
  const auto require = [&](const char* hook, const char* what, auto matches) {
    if (std::any_of(trace.records.begin(), trace.records.end(), matches)) return;
    throw Error(concat("installing the memory hooks on '", to_string(device), "': the ", hook,
                       " hook is blind: it logged no ", what,
                       "; install the hooks before the first tensor, with LibTorch 2.14"));
  };
  const auto kind_is = [](RecordKind kind) {
    return [kind](const Record& record) { return record.kind == kind; };
  };
  require("allocator", "block older than the trace", [](const Record& record) {
    return record.kind == RecordKind::allocate && record.time_ns == 0 &&
           record.bytes == kSelfTestBytes;
  });
  require("allocator", "allocation inside a layer", [layer](const Record& record) {
    return record.kind == RecordKind::allocate && record.layer == layer &&
           record.bytes == kSelfTestBytes;
  });
  require("allocator", "free", kind_is(RecordKind::free));
  require("layer scope", "entry", kind_is(RecordKind::layer_enter));
  require("layer scope", "exit", kind_is(RecordKind::layer_leave));
  require("saved tensor", "save of a tensor in its layer", [layer](const Record& record) {
    return record.kind == RecordKind::save && record.layer == layer &&
           record.bytes == kSelfTestBytes;
  });
  require("saved tensor", "release", kind_is(RecordKind::release));
  require("backward node", "allocation of a node", [](const Record& record) {
    return record.kind == RecordKind::allocate && record.node != kNoNode &&
           (record.detail & kAccumulates) == 0;
  });
  if (live_bytes(device) != live_before) {
    throw Error(concat("installing the memory hooks on '", to_string(device),
                       "': the allocator hook is blind: its live counter is off by ",
                       live_bytes(device) - live_before, " bytes after a step that keeps nothing"));
  }
}

}  // namespace

void install_torch_hooks() {
  static std::once_flag once;
  std::call_once(once, [] {
    install_cpu_allocator();
    install_meta_allocator();
    install_saved_tensor_engine();
    register_meta_kernels();
    self_test({.kind = DeviceId::Kind::cpu});
    self_test({.kind = DeviceId::Kind::meta});
    reset_peak_live_bytes({.kind = DeviceId::Kind::cpu});
    reset_peak_live_bytes({.kind = DeviceId::Kind::meta});
  });
}

}  // namespace sbp::profiler
