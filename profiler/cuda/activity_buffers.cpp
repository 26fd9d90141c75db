#include "profiler/cuda/activity_buffers.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "profiler/cuda/activity_decoder.h"

namespace sbp::profiler {
namespace {

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kAlignment = 64;  // CUPTI asks for 8
constexpr std::size_t kReserveBytes = std::size_t{64} << 10;
static_assert(sizeof(ActivityBuffers::Buffer) <= kHeaderBytes);

std::int64_t count_records(std::span<const std::byte> bytes) noexcept {
  std::int64_t records = 0;
  while (bytes.size() >= sizeof(std::uint32_t)) {
    std::uint32_t kind = 0;
    std::memcpy(&kind, bytes.data(), sizeof(kind));
    const std::size_t stride = activity_bytes(kind);
    if (stride == 0 || stride > bytes.size()) return records + 1;  // at least
    bytes = bytes.subspan(stride);
    ++records;
  }
  return records;
}

void free_all(ActivityBuffers::Buffer* buffer) noexcept {
  while (buffer != nullptr) {
    ActivityBuffers::Buffer* next = buffer->next;
    ActivityBuffers::free_buffer(buffer);
    buffer = next;
  }
}

}  // namespace

std::uint8_t* ActivityBuffers::Buffer::data() noexcept {
  return reinterpret_cast<std::uint8_t*>(this) + kHeaderBytes;
}

std::span<const std::byte> ActivityBuffers::Buffer::valid() noexcept {
  return {reinterpret_cast<const std::byte*>(data()), valid_bytes};
}

ActivityBuffers::Buffer* ActivityBuffers::make_buffer(std::size_t bytes) noexcept {
  const std::size_t whole = (kHeaderBytes + bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, whole);
  if (memory == nullptr) return nullptr;
  auto* buffer = new (memory) Buffer;
  buffer->bytes = bytes;
  return buffer;
}

void ActivityBuffers::free_buffer(Buffer* buffer) noexcept {
  std::free(buffer);
}

ActivityBuffers::Buffer* ActivityBuffers::of_data(std::uint8_t* data) noexcept {
  return reinterpret_cast<Buffer*>(data - kHeaderBytes);
}

ActivityBuffers::ActivityBuffers(const ActivityBufferOptions& options)
    : options_(options), reserve_(make_buffer(kReserveBytes)) {}

ActivityBuffers::~ActivityBuffers() {
  free_all(free_);
  free_all(oldest_filled_);
  free_all(reserve_);
}

ActivityBuffers::Buffer* ActivityBuffers::empty(Buffer* buffer) noexcept {
  buffer->next = nullptr;
  buffer->valid_bytes = 0;
  return buffer;
}

ActivityBuffers::Buffer* ActivityBuffers::take() noexcept {
  if (free_ != nullptr) {
    Buffer* buffer = free_;
    free_ = buffer->next;
    return empty(buffer);
  }
  if (buffers_ >= options_.most_buffers) {
    if (Buffer* oldest = next_filled()) {
      lost_records_ += count_records(oldest->valid());
      return empty(oldest);
    }
  }
  if (Buffer* buffer = make_buffer(options_.buffer_bytes)) {
    ++buffers_;
    return buffer;
  }
  Buffer* last = reserve_;
  reserve_ = nullptr;
  if (last != nullptr) ++buffers_;
  return last;
}

void ActivityBuffers::give(std::uint8_t* data, std::size_t valid_bytes, void* context,
                           std::uint32_t stream) noexcept {
  if (data == nullptr) return;
  Buffer* buffer = of_data(data);
  buffer->next = nullptr;
  buffer->valid_bytes = std::min(valid_bytes, buffer->bytes);
  buffer->context = context;
  buffer->stream = stream;
  (newest_filled_ != nullptr ? newest_filled_->next : oldest_filled_) = buffer;
  newest_filled_ = buffer;
}

ActivityBuffers::Buffer* ActivityBuffers::next_filled() noexcept {
  Buffer* buffer = oldest_filled_;
  if (buffer == nullptr) return nullptr;
  oldest_filled_ = buffer->next;
  if (oldest_filled_ == nullptr) newest_filled_ = nullptr;
  return buffer;
}

void ActivityBuffers::put_back(Buffer* buffer) noexcept {
  if (buffers_ > options_.most_buffers) {  // one too many
    --buffers_;
    free_buffer(buffer);
    return;
  }
  buffer->next = free_;
  free_ = buffer;
}

}  // namespace sbp::profiler
