// What the tracer's tests share: a traced stretch of code, and ways to pick records.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "profiler/record.h"
#include "profiler/torch/tracer.h"
#include "profiler/trace.h"
#include "sbp/base/scope.h"

namespace sbp::profiler::test {

inline constexpr DeviceId kCpu{.kind = DeviceId::Kind::cpu};
inline constexpr DeviceId kMeta{.kind = DeviceId::Kind::meta};

inline std::uint64_t address_of(const at::Tensor& tensor) {
  return reinterpret_cast<std::uint64_t>(tensor.storage().data_ptr().get());
}

template <typename Body>
Trace traced(const DeviceId& device, const LayerTable& layers, const Body& body) {
  Tracer tracer({.device = device, .buffer_records = 1 << 16}, layers);
  body(tracer);
  return tracer.stop();
}

inline std::vector<Record> of_kind(const Trace& trace, RecordKind kind) {
  std::vector<Record> found;
  for (const Record& record : trace.records) {
    if (record.kind == kind) found.push_back(record);
  }
  return found;
}

}  // namespace sbp::profiler::test
