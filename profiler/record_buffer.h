// The bounded, preallocated buffer that a tracer fills.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "profiler/record.h"

namespace sbp::profiler {

// Thread-safe to append to; read only after all writers stopped. Its memory is its own (never
// the traced allocator's) and the system's to give as it is written to: most of it stays unused.
class RecordBuffer {
 public:
  explicit RecordBuffer(std::int64_t capacity);

  // False, and counted, when the buffer is full. Records are ordered by the call's atomic slot.
  bool append(const Record& record) noexcept;

  std::span<const Record> records() const noexcept;
  std::int64_t dropped() const noexcept;
  std::int64_t capacity() const noexcept { return capacity_; }
  void clear() noexcept;

 private:
  struct Free {
    void operator()(Record* records) const noexcept { std::free(records); }
  };

  std::int64_t capacity_;
  std::unique_ptr<Record[], Free> records_;
  std::atomic<std::int64_t> next_{0};
};

}  // namespace sbp::profiler
