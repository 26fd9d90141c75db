// Activity buffers made by hand, in CUPTI's layout.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include "profiler/cuda/activity_decoder.h"
#include "profiler/cuda/activity_layout.h"

namespace sbp::tests {

inline std::vector<std::byte> file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(read));
  return {bytes.begin(), bytes.end()};
}

// A whole record of this kind, zero in every other field.
inline std::vector<std::byte> blank_record(std::uint32_t kind) {
  std::vector<std::byte> record(std::max<std::size_t>(profiler::activity_bytes(kind), 4));
  std::memcpy(record.data(), &kind, sizeof(kind));
  return record;
}

// One call a record; calls can be chained.
class BufferBuilder {
 public:
  // A record of `kind`, with any fields set after it by u32 and u64.
  BufferBuilder& record(profiler::ActivityKind kind) {
    return record(static_cast<std::uint32_t>(kind));
  }
  BufferBuilder& record(std::uint32_t kind) {
    start_ = bytes_.size();
    const auto blank = blank_record(kind);
    bytes_.insert(bytes_.end(), blank.begin(), blank.end());
    return *this;
  }
  BufferBuilder& u32(std::size_t offset, std::uint32_t value) { return put(offset, value); }
  BufferBuilder& u64(std::size_t offset, std::uint64_t value) { return put(offset, value); }

  BufferBuilder& external(std::uint32_t correlation, std::uint64_t id, std::uint32_t kind = 5) {
    using namespace profiler::layout::external;
    return record(profiler::ActivityKind::external_correlation)
        .u32(kExternalKind, kind)
        .u64(kExternalId, id)
        .u32(kCorrelationId, correlation);
  }
  BufferBuilder& call(std::uint32_t correlation, std::uint32_t status = 0) {
    using namespace profiler::layout::api;
    return record(profiler::ActivityKind::runtime)
        .u32(kCorrelationId, correlation)
        .u32(kReturnValue, status);
  }

  struct Memory {
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
    std::uint64_t time_ns = 0;
    std::uint32_t correlation = 0;
    std::uint32_t kind = 3;
  };
  BufferBuilder& allocate(const Memory& memory) { return operation(1, memory); }
  BufferBuilder& release(const Memory& memory) { return operation(2, memory); }

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  BufferBuilder& operation(std::uint32_t operation, const Memory& memory) {
    using namespace profiler::layout::memory;
    return record(profiler::ActivityKind::memory)
        .u32(kOperation, operation)
        .u32(kMemoryKind, memory.kind)
        .u32(kCorrelationId, memory.correlation)
        .u64(kAddress, memory.address)
        .u64(kSize, memory.bytes)
        .u64(kTimestamp, memory.time_ns);
  }

  template <typename Number>
  BufferBuilder& put(std::size_t offset, Number value) {
    std::memcpy(bytes_.data() + start_ + offset, &value, sizeof(value));
    return *this;
  }

  std::vector<std::byte> bytes_;
  std::size_t start_ = 0;
};

}  // namespace sbp::tests
