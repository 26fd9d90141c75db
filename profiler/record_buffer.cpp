#include "profiler/record_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

// Zeroed by the system, page by page as they are written to: a buffer is large and most of it stays
// unused.
Record* make_records(std::int64_t capacity) {
  if (capacity < 0) {
    throw Error(concat("making a record buffer: capacity '", capacity, "' must be at least 0"));
  }
  static_assert(std::is_trivially_copyable_v<Record>);
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(capacity, 1));
  void* records = std::calloc(count, sizeof(Record));
  if (records == nullptr) {
    throw Error(concat("making a record buffer: no memory for '", capacity, "' records of ",
                       sizeof(Record), " bytes; a smaller buffer would fit"));
  }
  return static_cast<Record*>(records);
}

}  // namespace

RecordBuffer::RecordBuffer(std::int64_t capacity)
    : capacity_(capacity), records_(make_records(capacity)) {}

// Relaxed is enough: slots of one atomic follow happens-before, so a block's free (logged before
// the memory goes back) always lies before the next allocate of its address (logged after).
bool RecordBuffer::append(const Record& record) noexcept {
  const std::int64_t slot = next_.fetch_add(1, std::memory_order_relaxed);
  if (slot >= capacity_) return false;
  records_[static_cast<std::size_t>(slot)] = record;
  return true;
}

std::span<const Record> RecordBuffer::records() const noexcept {
  const std::int64_t used = std::min(next_.load(std::memory_order_acquire), capacity_);
  return {records_.get(), static_cast<std::size_t>(used)};
}

std::int64_t RecordBuffer::dropped() const noexcept {
  return std::max<std::int64_t>(next_.load(std::memory_order_acquire) - capacity_, 0);
}

void RecordBuffer::clear() noexcept {
  next_.store(0, std::memory_order_release);
}

}  // namespace sbp::profiler
